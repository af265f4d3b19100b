//! due's own client for Go.

use std::process::Command;

use duet_testkit::Server;

use super::programs::{all_pass, go_due, is_skipped};
use super::{LAYOUTS, Layout, server, server_with_all_layouts};

/// A due client of one listener.
fn client(server: &Server, number: usize, (order, route_bytes, seq_bytes): Layout, script: &[&str]) -> Command {
    let listening = &server.listeners()[number];
    let protocol = listening.url.split("://").next().unwrap();
    let mut command = Command::new(go_due());
    command.args(["-addr", &listening.address.to_string(), "-proto", protocol, "-byte-order", order, "-heartbeat", "1s"]);
    command.args(["-route-bytes", &route_bytes.to_string(), "-seq-bytes", &seq_bytes.to_string()]).args(script);
    command
}

/// The greet script and the echo script, on every listener at the same time.
fn greet_and_echo(server: &Server) {
    let mut peers = Vec::new();
    for (number, layout) in LAYOUTS.into_iter().enumerate() {
        peers.push(client(server, number, layout, &["-script", "greet"]));
        peers.push(client(server, number, layout, &["-script", "echo", "-count", "200", "-body-bytes", "1024"]));
    }
    all_pass(peers);
}

#[test]
fn a_due_client_greets_echoes_and_lives_on_heartbeats_over_tcp_in_every_layout() {
    if !is_skipped("go") {
        greet_and_echo(&server_with_all_layouts("tcp"));
    }
}

#[test]
fn a_due_client_greets_echoes_and_lives_on_heartbeats_over_ws_in_every_layout() {
    if !is_skipped("go") {
        greet_and_echo(&server_with_all_layouts("ws"));
    }
}

#[test]
fn a_due_client_that_says_nothing_is_dropped_on_tcp_and_on_ws() {
    if is_skipped("go") {
        return;
    }
    // A client that never sent a packet is dropped by the first of the two deadlines.
    let server = server().settings("first_packet_timeout = \"1s\"").start();
    all_pass((0..2).map(|number| client(&server, number, ("big", 2, 2), &["-script", "idle"])).collect());
}

#[test]
fn a_due_client_hears_nothing_of_an_unknown_route_where_error_packets_are_off() {
    if is_skipped("go") {
        return;
    }
    let server = server().settings("error_packets = false").start();
    all_pass((0..2).map(|number| client(&server, number, ("big", 2, 2), &["-script", "greet", "-unknown", "silence"])).collect());
}
