//! The plugins of `examples/c`, written from the contract without an SDK, in a running server.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use duet_testkit::{Message, Peer, Server, Wire};
use tempfile::TempDir;

use crate::clients::programs::{folder, is_skipped, succeed};

/// A plugin of the example; both are built once.
fn in_c(name: &str) -> PathBuf {
    static BUILT: OnceLock<TempDir> = OnceLock::new();
    let out = BUILT.get_or_init(|| {
        let out = tempfile::tempdir().unwrap();
        succeed(Command::new("sh").arg(folder("examples/c/build.sh")).arg(out.path()));
        out
    });
    out.path().join(name).with_extension("wasm")
}

#[test]
fn a_plain_plugin_in_c_replies_pushes_fails_with_a_code_and_hears_of_players() {
    if is_skipped("clang") {
        return;
    }
    let server =
        Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("dice", in_c("dice")).file("dice.toml", "[config]\nsides_max = 20\n").start();
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    peer.send_data(100, 7, b"1");
    assert_eq!(peer.next(), Message::Data { route: 101, seq: 0, body: b"you rolled the highest".to_vec() });
    assert_eq!(peer.next(), Message::Data { route: 100, seq: 7, body: b"1".to_vec() });
    for body in [b"21".as_slice(), b"-1", b""] {
        peer.send_data(100, 8, body);
        assert_eq!(peer.next(), Message::Error { route: 100, seq: 8, code: 1000, text: "how many sides?".to_owned() }, "{body:?}");
    }
    let line = server.wait_for_log("a player at 127.0.0.1:", Duration::from_secs(20));
    assert!(line.contains("dice"), "{line}");
}

#[test]
fn a_plain_plugin_in_c_refuses_to_start_with_settings_that_are_no_use() {
    if is_skipped("clang") {
        return;
    }
    let server = Server::builder(env!("CARGO_BIN_EXE_duet"))
        .plugin("dice", in_c("dice"))
        .file("dice.toml", "[config]\nsides_max = \"many\"\n")
        .start();
    server.wait_for_log("sides_max in [config] is no number from 1 to 999999", Duration::from_secs(20));
}

#[test]
fn a_packed_plugin_in_c_answers_a_batch_and_publishes_to_its_channel() {
    if is_skipped("clang") {
        return;
    }
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("hall", in_c("hall")).start();
    let heard = |text: &[u8]| Message::Data { route: 121, seq: 0, body: text.to_vec() };
    let entered = |seq, count: &[u8]| Message::Data { route: 120, seq, body: count.to_vec() };
    let mut ada = Peer::connect(server.tcp(), Wire::TCP);
    ada.send_data(120, 1, b"Ada");
    assert_eq!([ada.next(), ada.next()], [heard(b"Ada"), entered(1, b"1")]);
    let mut bob = Peer::connect(server.tcp(), Wire::TCP);
    bob.send_data(120, 1, b"Bob");
    assert_eq!([bob.next(), bob.next(), ada.next()], [heard(b"Bob"), entered(1, b"2"), heard(b"Bob")]);
    bob.send_data(122, 0, b"hello");
    assert_eq!([bob.next(), ada.next()], [heard(b"hello"), heard(b"hello")]);
    // Written at once, these are handled by one call or a few; one that fails takes nothing from the others.
    for seq in 2..40 {
        ada.send_data(if seq % 2 == 0 { 120 } else { 122 }, seq, if seq % 3 == 0 { b"" } else { b"x" });
    }
    for seq in 2..40 {
        if seq % 3 == 0 {
            let route = if seq % 2 == 0 { 120 } else { 122 };
            assert_eq!(ada.next(), Message::Error { route, seq, code: 1000, text: "say something".to_owned() });
            continue;
        }
        assert_eq!(ada.next(), heard(b"x"));
        if seq % 2 == 0 {
            assert!(matches!(ada.next(), Message::Data { route: 120, seq: answered, .. } if answered == seq));
        }
    }
}
