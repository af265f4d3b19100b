//! Any bytes as a text, read into every type of the tests and written again.
#![no_main]

#[path = "../../tests/it/same.rs"]
mod same;
#[path = "../../tests/it/seen.rs"]
mod seen;
#[path = "../../tests/it/shapes.rs"]
mod shapes;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    same::reading(data);
});
