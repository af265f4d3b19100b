//! What the host offers: its imports in a component, stand-ins natively.

#[cfg(target_arch = "wasm32")]
mod imports;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native;

#[cfg(target_arch = "wasm32")]
pub(crate) use imports::{config, log, monotonic_us, now_ms, random_bytes, random_number, sessions};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{config, log, monotonic_us, now_ms, random_bytes, random_number, sessions};
