//! What an operator does to a server that runs: commands, files in its folder, signals. Each with a client that stays connected.

mod commands;
mod folder;
mod socket;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use duet_testkit::{Peer, Server, Wire, counter};
use serde_json::Value;

use crate::program::PATIENCE;

const ROUTES: [i32; 4] = [1, 2, 3, 4];
const KEPT: Option<&str> = Some(r#"{"schema":1}"#);

/// A version of the plugin that counts.
fn version(number: u32) -> Vec<u8> {
    counter(number, &ROUTES, KEPT, &[])
}

/// A server with the first version.
fn counting(settings: &str) -> (Server, Peer) {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).settings(settings).file("counter.wasm", version(1)).start();
    let peer = Peer::connect(server.tcp(), Wire::TCP);
    (server, peer)
}

/// The next count, and the version that counted.
fn count(peer: &mut Peer) -> (u64, u32) {
    let body = peer.call(1, b"").unwrap();
    let (count, number) = body.split_at(8);
    (u64::from_le_bytes(count.try_into().unwrap()), u32::from_le_bytes(number.try_into().unwrap()))
}

/// Counts until this version does. No count is lost or comes twice.
fn count_until(peer: &mut Peer, last: u64, number: u32) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    let mut expected = last;
    loop {
        expected += 1;
        let (count, version) = count(peer);
        assert_eq!(count, expected, "version {version}");
        if version == number {
            return count;
        }
        assert!(Instant::now() < deadline, "version {version} goes on");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

/// `duet plugin`, in this folder: how it ends, what it prints, and what it complains of.
fn ask(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
    command.arg("plugin").args(arguments).current_dir(folder).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The same of a server, where it has to succeed.
fn told(server: &Server, arguments: &[&str]) -> String {
    let (code, out, error) = ask(server.folder(), arguments);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{arguments:?}: {out}\n{}", server.log());
    out
}

/// The same, as JSON.
fn told_json(server: &Server, arguments: &[&str]) -> Value {
    let out = told(server, &[arguments, &["--json"]].concat());
    assert_eq!(out.lines().count(), 1, "{out}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["v"], 1, "{answer}");
    answer
}

/// The same, where it has to be refused for this reason.
fn refused(server: &Server, arguments: &[&str], reason: &str) {
    let (code, out, error) = ask(server.folder(), arguments);
    assert!(code == Some(1) && out.is_empty() && error.starts_with("duet: "), "{arguments:?}: {code:?} {out} {error}");
    assert!(error.contains(reason) && error.lines().count() == 1, "{arguments:?}: {error}");
}

/// Waits until the server says so.
fn wait_until(what: &str, server: &Server, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not {what}:\n{}", server.log());
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}
