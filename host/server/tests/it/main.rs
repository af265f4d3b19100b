//! The `duet` program as a whole, each test with a server process of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic: that is how they fail"
)]

mod clients;
mod config;
mod drain;
mod edge;
mod load;
mod misses;
mod operate;
mod output;
mod pages;
mod pairs;
mod plugins;
mod program;
mod sessions;
mod signals;
mod talk;

use duet_testkit::{Server, ServerBuilder, Wire, guest};

/// Answers with the body, whatever it is.
const ECHO: i16 = 111;

/// A server with the plugin that has [`ECHO`].
fn echo_server() -> ServerBuilder {
    Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("hostile", guest("hostile"))
}

/// The same with a listener for each profile on each carrier, in the order of [`Wire::ALL`].
fn echo_server_of_all_wires() -> ServerBuilder {
    Wire::ALL.iter().fold(echo_server(), |server, wire| server.listener(&wire.listener()))
}
