//! Real clients against the running server: due for Go, kcp-go, npm `ws` as browsers use it, a page in Chromium, and our own; and the
//! plugins in TypeScript.
//!
//! They need Go, Node and Chromium. `cargo xtask test` sets `DUET_SKIP_CLIENTS` to what is not available (`go`, `node`, `chromium`) and
//! reports it as skipped; without that a missing tool fails the test.

mod due;
mod npm;
mod own;
pub(crate) mod programs;
mod session;
mod tls;
mod typescript;

use duet_testkit::{Server, ServerBuilder, guest};

/// Short heartbeats, so that a client that lives through some of them takes three seconds.
const SETTINGS: &str = "[gateway]\nheartbeat_interval = \"1s\"";

/// Byte order, bytes of the route, bytes of the seq.
type Layout = (&'static str, u8, u8);

/// All layouts that the clients try.
const LAYOUTS: [Layout; 6] = [("big", 2, 2), ("little", 2, 2), ("big", 4, 4), ("little", 4, 4), ("big", 1, 1), ("little", 1, 1)];

/// The server that all peers are written for: echo on route 1, greet on route 2 with a push on 3, nobody on 99.
fn server() -> ServerBuilder {
    Server::builder(env!("CARGO_BIN_EXE_duet")).settings(SETTINGS).plugin("echo", guest("echo")).plugin("greet", guest("greet"))
}

/// A listener for one layout.
fn listener(protocol: &str, profile: &str, (order, route_bytes, seq_bytes): Layout) -> String {
    format!(
        "protocol = \"{protocol}\"\nprofile = \"{profile}\"\nbyte_order = \"{order}\"\nroute_bytes = {route_bytes}\nseq_bytes = {seq_bytes}"
    )
}

/// A server with one listener for each layout, in their order.
fn server_with_all_layouts(protocol: &str) -> Server {
    LAYOUTS.iter().fold(server(), |builder, layout| builder.listener(&listener(protocol, "due2", *layout))).start()
}
