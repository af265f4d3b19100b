//! npm `ws`, as a browser client, and with frames that break the rules.

use std::process::Command;

use super::programs::{all_pass, is_skipped, npm_ws};
use super::{LAYOUTS, Layout, listener, server, server_with_all_layouts};

fn node(script: &str, url: &str) -> Command {
    let mut command = Command::new("node");
    command.current_dir(npm_ws()).args([script, "--url", url]);
    command
}

fn greet(url: &str, profile: &str, (order, route_bytes, seq_bytes): Layout) -> Command {
    let mut command = node("greet.mjs", url);
    command.args(["--profile", profile, "--byte-order", order, "--heartbeat", "1000"]);
    command.args(["--route-bytes", &route_bytes.to_string(), "--seq-bytes", &seq_bytes.to_string()]);
    command
}

#[test]
fn a_browser_client_greets_and_lives_on_heartbeats_in_every_layout() {
    if is_skipped("node") {
        return;
    }
    let server = server_with_all_layouts("ws");
    all_pass(LAYOUTS.iter().enumerate().map(|(number, layout)| greet(server.url(number), "due2", *layout)).collect());
}

#[test]
fn a_browser_client_of_the_first_format_greets_in_both_byte_orders() {
    if is_skipped("node") {
        return;
    }
    let layouts = [("big", 2, 2), ("little", 2, 2)];
    let server = layouts.iter().fold(server(), |builder, layout| builder.listener(&listener("ws", "seed", *layout))).start();
    all_pass(layouts.iter().enumerate().map(|(number, layout)| greet(server.url(number), "seed", *layout)).collect());
}

#[test]
fn a_browser_client_of_another_path_is_refused_and_of_the_right_one_served() {
    if is_skipped("node") {
        return;
    }
    let server = server().listener("protocol = \"ws\"\npath = \"/game\"").start();
    assert!(server.url(0).ends_with("/game"), "{}", server.url(0));
    let elsewhere = server.url(0).replace("/game", "/");
    let refused = greet(&elsewhere, "due2", ("big", 2, 2)).output().unwrap();
    assert!(!refused.status.success(), "{}", String::from_utf8_lossy(&refused.stdout));
    all_pass(vec![greet(server.url(0), "due2", ("big", 2, 2))]);
}

#[test]
fn a_client_that_breaks_the_rules_is_closed_with_the_code_for_it() {
    if is_skipped("node") {
        return;
    }
    let cases = [
        ("text", "1003"),
        ("oversize", "1009"),
        ("oversize-declared", "1009"),
        ("unmasked", "1002"),
        ("reserved-bit", "1002"),
        ("reserved-opcode", "1002"),
        ("fragmented-ping", "1002"),
        ("long-ping", "1002"),
        ("stray-continuation", "1002"),
        ("bad-packet", "1002"),
        ("short-packet", "1002"),
    ];
    let server = server().start();
    let url = format!("ws://{}/", server.ws());
    let raw = |(case, code): (&str, &str)| {
        let mut command = node("raw.mjs", &url);
        command.args([case, "--expect", code]);
        command
    };
    all_pass(cases.into_iter().map(raw).collect());
    // None of them did any harm to the others.
    all_pass(vec![greet(&url, "due2", ("big", 2, 2))]);
}
