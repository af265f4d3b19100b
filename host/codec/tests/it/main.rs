//! Tests of the codec through its public face: golden bytes, round trips, the fuzz corpus, and another WebSocket implementation.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod corpus;
mod due;
mod golden;
mod packets;
mod seen;
mod ws;
mod ws_peer;
