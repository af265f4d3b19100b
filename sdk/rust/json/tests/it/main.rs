//! Compared with `serde_json`: what is read, what is written, and what is said about what cannot be.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod edges;
mod mutated;
mod same;
mod seen;
mod shapes;
