//! The session script of `testkit/peers/SCRIPT.md`, played by every client on everything that carries its packets.

use std::process::Command;

use duet_testkit::{Server, guest};

use super::SETTINGS;
use super::programs::{all_pass, go_due, is_skipped, npm_ws};

/// A server with the plugin that the script talks to, and one listener.
pub(super) fn lobby(protocol: &str) -> Server {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).settings(SETTINGS).plugin("lobby", guest("lobby"));
    server.listener(&format!("protocol = \"{protocol}\"")).start()
}

/// The Go program, with due's client unless the arguments say otherwise.
fn go(protocol: &str, arguments: &[&str]) {
    if is_skipped("go") {
        return;
    }
    let server = lobby(protocol);
    let address = server.addresses()[0].to_string();
    let mut command = Command::new(go_due());
    command.args(["-script", "session", "-proto", protocol, "-addr", &address]).args(arguments);
    all_pass(vec![command]);
}

#[test]
fn a_due_client_plays_a_session_over_tcp() {
    go("tcp", &[]);
}

#[test]
fn a_due_client_plays_a_session_over_ws() {
    go("ws", &[]);
}

#[test]
fn a_due_client_plays_a_session_over_kcp_with_error_correction() {
    go("kcp", &["-fec", "10/3"]);
}

#[test]
fn a_due_client_plays_a_session_over_plain_kcp() {
    go("kcp", &["-fec", "0/0"]);
}

#[test]
fn kcp_go_plays_a_session_with_error_correction() {
    go("kcp", &["-bare", "-fec", "10/3"]);
}

#[test]
fn kcp_go_plays_a_session_without_error_correction() {
    go("kcp", &["-bare", "-fec", "0/0"]);
}

/// The Node program.
fn node(client: &str) {
    let server = lobby("ws");
    let mut command = Command::new("node");
    command.current_dir(npm_ws()).args(["session.mjs", "--client", client, "--url", server.url(0)]);
    all_pass(vec![command]);
}

#[test]
fn npm_ws_plays_a_session() {
    if !is_skipped("node") {
        node("ws");
    }
}

#[test]
fn a_page_in_chromium_plays_a_session() {
    if !is_skipped("node") && !is_skipped("chromium") {
        node("chromium");
    }
}
