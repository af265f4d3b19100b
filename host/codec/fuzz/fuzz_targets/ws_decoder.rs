//! Any bytes as what a WebSocket peer sends.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| duet_codec::fuzzing::ws_decoder(data));
