//! The runtime without sockets: requests go in by hand, and effects are collected.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic: that is how they fail"
)]

mod effects;
mod imports;
mod queue;
mod refusals;
mod rig;
mod single;
