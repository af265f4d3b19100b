//! The host of a component.

use crate::component::bindings::duet::plugin as host;
use crate::log::Level;

pub(crate) use host::sessions;

pub(crate) fn log(level: Level, message: &str) {
    host::log::write(level as u32, message);
}

pub(crate) fn config(key: &str) -> Option<String> {
    host::config::get(key).ok()
}

pub(crate) fn now_ms() -> u64 {
    host::clock::now_ms()
}

pub(crate) fn monotonic_us() -> u64 {
    host::clock::monotonic_us()
}

pub(crate) fn random_bytes(count: u32) -> Vec<u8> {
    host::random::bytes(count)
}

pub(crate) fn random_number() -> u32 {
    host::random::number()
}
