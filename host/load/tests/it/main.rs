//! The load generator against servers on loopback that speak the format by the codec.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic: that is how they fail")]

#[path = "../../examples/bare-echo/echo.rs"]
mod bare_echo;
mod broadcast;
mod load;
