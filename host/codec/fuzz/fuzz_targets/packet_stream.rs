//! Any bytes as a stream of packets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| duet_codec::fuzzing::packet_stream(data));
