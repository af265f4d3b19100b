//! What a client is told when its request cannot be handled.

use std::time::Duration;

use duet_testkit::{Message, Peer, Wire};

use crate::{ECHO, echo_server, echo_server_of_all_wires};

#[test]
fn an_unknown_route_is_answered_with_code_3_and_the_same_route_and_seq() {
    let server = echo_server_of_all_wires().start();
    for (wire, address) in Wire::ALL.into_iter().zip(server.addresses()) {
        let mut peer = Peer::connect(address, wire);
        for (route, seq) in [(9_999, 7), (i16::MAX, i16::MAX), (i16::MIN, -1), (0, 0)] {
            peer.send_data(route, seq, b"body");
            let unknown = Message::Error { route, seq, code: 3, text: "unknown route".to_owned() };
            assert_eq!(peer.next(), unknown, "{}", wire.name());
        }
        assert!(peer.call(ECHO, b"it goes on").is_ok());
    }
}

#[test]
fn an_error_packet_has_these_bytes() {
    let server = echo_server().start();
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    peer.write(b"\x00\x00\x00\x07\x00\x12\x34\x00\x2a{}");
    assert_eq!(peer.bytes(24), b"\x00\x00\x00\x14\x01\x12\x34\x00\x2a\x00\x03unknown route");
}

#[test]
fn without_error_packets_an_unknown_route_is_met_with_silence() {
    let server = Wire::ALL.iter().fold(echo_server(), |s, w| s.listener(&format!("{}error_packets = false\n", w.listener()))).start();
    for (wire, address) in Wire::ALL.into_iter().zip(server.addresses()) {
        let mut peer = Peer::connect(address, wire);
        peer.send_data(9_999, 7, b"body");
        // The answer to the second comes first, and nothing comes after it.
        assert!(peer.call(ECHO, b"it goes on").is_ok(), "{}", wire.name());
        assert_eq!(peer.next_within(Duration::from_millis(50)), None, "{}", wire.name());
    }
}

#[test]
fn another_path_is_answered_with_404_and_no_upgrade_with_an_http_error() {
    let server = echo_server().listener("protocol = \"ws\"\npath = \"/game\"\n").start();
    assert!(Peer::connect_to(server.ws(), Wire::WS, "/game").is_ok());
    assert!(Peer::connect_to(server.ws(), Wire::WS, "/game?token=1").is_ok());
    for path in ["/", "/gam", "/game/", "/other"] {
        let refused = Peer::connect_to(server.ws(), Wire::WS, path).unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 404 "), "{path}: {refused}");
    }
    let mut peer = Peer::bare(server.ws(), Wire::WS);
    peer.write(b"GET /game HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = peer.http_answer();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}
