//! The crate from outside, over real sockets.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod kcp;
mod pki;
mod stream;
mod tls;
mod upgrade;
