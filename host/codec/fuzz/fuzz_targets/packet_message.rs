//! Any bytes as one packet of a message carrier.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| duet_codec::fuzzing::packet_message(data));
