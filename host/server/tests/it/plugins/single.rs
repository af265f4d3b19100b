//! The hand-written plugin, whose handler takes one message per call, in a running server.

use std::time::Duration;

use duet_testkit::{Message, Peer, Server, Wire};

use super::PLUGIN_FAULT;

/// The component of the world `game-single`; its text is next to it.
pub(crate) const SINGLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testkit/fixtures/single/single.component");

#[test]
fn a_hand_written_plugin_replies_pushes_logs_and_stops() {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet"))
        .plugin("single", SINGLE)
        .file("single.toml", "[config]\ngreeting = \"hi\"\n")
        .settings("[log]\nlevel = \"trace\"\n")
        .start();
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    assert_eq!(peer.call(211, b"echo").as_deref(), Ok(b"echo".as_slice()));
    assert_eq!(peer.call(200, b"greeting").as_deref(), Ok(br#""hi""#.as_slice()));
    assert_eq!(peer.call(210, b""), Err(Message::Error { route: 210, seq: 3, code: 1, text: "no".to_owned() }));
    peer.send_data(206, 9, b"news");
    assert_eq!(peer.next(), Message::Data { route: 7, seq: 0, body: b"news".to_vec() });
    assert_eq!(peer.next(), Message::Data { route: 206, seq: 9, body: b"pushed".to_vec() });
    assert!(matches!(peer.call(207, b"never"), Err(Message::Error { code: PLUGIN_FAULT, .. })));
    for level in [b"\x01level one", b"\x02level two", b"\x04level fou", b"\x05level fiv", b"\x09level nin"] {
        assert_eq!(peer.call(208, level).as_deref(), Ok(b"".as_slice()));
    }
    assert_eq!(peer.call(208, b"\x03forged\n2026-01-01 ERROR \x1b[31m").as_deref(), Ok(b"".as_slice()));
    for (level, text) in [("ERROR", "one"), ("WARN", "two"), ("DEBUG", "fou"), ("TRACE", "fiv"), ("INFO", "nin")] {
        let line = server.wait_for_log(&format!("level {text}"), Duration::from_secs(20));
        assert!(line.contains(level) && line.contains("single"), "{line}");
    }
    let line = server.wait_for_log("forged", Duration::from_secs(20));
    assert!(line.contains("ERROR") && line.contains("INFO") && !line.contains('\u{1b}'), "one line, of its own level: {line}");
    let (status, _) = server.terminate();
    assert!(status.success());
    assert!(server.log().lines().any(|l| l.contains("stopped") && l.contains("plugin=\"single\"")), "`stop` was called:\n{}", server.log());
    eprintln!("plain handler: replies, 1 error, 1 push, 6 log lines with their levels, and a good end");
}

#[test]
fn a_recycled_instance_is_stopped_and_a_new_one_goes_on() {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet"))
        .plugin("single", SINGLE)
        .settings("[plugin.single]\nrecycle_calls = 2\nrecycle_memory = \"32MiB\"\nfaults_max = 1\n")
        .start();
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    for expected in [1u32, 2, 1, 2, 1, 2] {
        assert_eq!(peer.call(212, b"").as_deref(), Ok(expected.to_le_bytes().as_slice()));
    }
    let (status, _) = server.terminate();
    assert!(status.success());
    let stops = server.log().lines().filter(|l| l.contains("stopped") && l.contains("plugin=\"single\"")).count();
    assert!((3..=4).contains(&stops), "3 were recycled, and the last ended with the server: {stops}");
    eprintln!("recycle: 6 calls by 3 instances, {stops} were stopped in good order");
}
