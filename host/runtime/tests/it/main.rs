//! The runtime without sockets: requests go in by hand, and effects are collected.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic: that is how they fail"
)]

mod affinity;
mod batch_faults;
mod budget;
mod cache;
mod counters;
mod effects;
mod events;
mod fan_out;
mod gate;
mod imports;
mod in_flight;
mod json;
mod memory;
mod packed;
mod panics;
mod queue;
mod recycle;
mod refusals;
mod rig;
mod sdk;
mod single;
mod stopping;
mod swap;
mod told;
