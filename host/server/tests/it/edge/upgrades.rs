//! Who may open a WebSocket, what is agreed on, and which codes end it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use duet_testkit::frame::{frame, opcode, raw_frame};
use duet_testkit::{Dial, Message, Peer, Server, Wire, report};

use super::{SOON, ask, lobby, lobby_server};

const KICK: i16 = 10;

/// The status line and headers that a request is answered with.
fn answer(server: &Server, listener: usize, headers: &str) -> String {
    let address = server.addresses()[listener];
    let request = format!(
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    Dial::new(address, Wire::WS).preface(request.as_bytes()).bare().http_answer().to_lowercase()
}

#[test]
fn pages_may_connect_as_the_listener_says() {
    let ws = "protocol = \"ws\"\n";
    let listed = format!("{ws}origins = [\"https://game.example\", \"http://localhost:8080\"]\n");
    let server = lobby_server()
        .listener(ws)
        .listener(&listed)
        .listener(&format!("{ws}origins = [\"*\"]\n"))
        .listener(&format!("{ws}origins = []\n"))
        .start();
    // For each origin: whether the default, the list, "*" and the empty list let it in.
    let table = [
        (None, [true, true, true, true]),
        (Some("https://game.example"), [false, true, true, false]),
        (Some("https://play.example"), [true, false, true, false]),
        (Some("http://play.example:8080"), [true, false, true, false]),
        (Some("http://localhost:8080"), [false, true, true, false]),
        (Some("http://localhost"), [false, false, true, false]),
        (Some("https://evil.example"), [false, false, true, false]),
        (Some("https://play.example.evil.example"), [false, false, true, false]),
        (Some("null"), [false, false, true, false]),
        (Some(""), [false, false, true, false]),
    ];
    for (origin, allowed) in table {
        let header = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        for (listener, allowed) in allowed.into_iter().enumerate() {
            let answer = answer(&server, listener, &format!("Host: play.example:3553\r\n{header}"));
            let status = if allowed { "http/1.1 101 " } else { "http/1.1 403 " };
            assert!(answer.starts_with(status), "{origin:?} to listener {listener}: {answer}");
        }
    }
    let log = server.log();
    assert!(log.contains("every web page can connect"), "{log}");
    report!("origins: {} x 4 listeners, each let in or refused as the settings say", table.len());
}

#[test]
fn a_listener_may_name_subprotocols_and_the_origin_null() {
    let server = lobby_server().listener("protocol = \"ws\"\nsubprotocols = [\"game.v1\", \"game.v2\"]\norigins = [\"null\"]\n").start();
    for (headers, status, agreed) in [
        ("Sec-WebSocket-Protocol: other, game.v2, game.v1\r\nOrigin: null\r\n", 101, Some("game.v2")),
        ("Sec-WebSocket-Protocol: other\r\n", 101, None),
        ("Origin: https://game.example\r\n", 403, None),
    ] {
        let answer = answer(&server, 0, &format!("Host: localhost\r\n{headers}"));
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{answer}");
        assert_eq!(answer.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: ")), agreed, "{headers}");
    }
    assert!(server.log().contains("sandboxed frame"), "{}", server.log());
}

#[test]
fn frames_may_come_with_the_request() {
    let server = lobby_server().start();
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\nConnection:\tUpgrade\r\nUpgrade: WebSocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let first = frame(opcode::BINARY, &Wire::WS.data(lobby::ECHO, 1, b"early"));
    let mut client = TcpStream::connect(server.ws()).unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    client.write_all(&[request.as_bytes(), &first].concat()).unwrap();
    let expected = Wire::WS.data(lobby::ECHO, 1, b"early");
    let mut answer = Vec::new();
    while !answer.ends_with(&expected) {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("the reply to the first frame");
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn no_compression_and_no_protocol_is_agreed_on() {
    let server = lobby_server().start();
    let offers = [
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Extensions: x-webkit-deflate-frame\r\n",
        "Sec-WebSocket-Protocol: chat, superchat\r\n",
        "Sec-WebSocket-Protocol: graphql-ws\r\nSec-WebSocket-Extensions: permessage-bzip2\r\n",
    ];
    for offer in offers {
        let answer = answer(&server, 1, &format!("Host: localhost\r\n{offer}"));
        assert!(answer.starts_with("http/1.1 101 "), "{answer}");
        assert!(!answer.contains("sec-websocket-extensions") && !answer.contains("sec-websocket-protocol"), "{answer}");
        let dial = offer.lines().fold(Dial::new(server.ws(), Wire::WS), |dial, line| dial.header(line));
        assert!(dial.connect().call(lobby::ECHO, b"plain").is_ok(), "{offer}");
        // A compressed frame was never agreed on.
        let mut compressed = dial.connect();
        compressed.write(&raw_frame(0xc0 | opcode::BINARY, true, 4, &[0x4a, 0x4c, 0x04, 0x00]));
        assert_eq!(compressed.closed(), Some(1002), "{offer}");
    }
    report!(
        "upgrade offers: {} with compression or sub-protocols, none agreed on, all served; compressed frames end with 1002",
        offers.len()
    );
}

#[test]
fn every_close_code_is_as_the_settings_say() {
    let names = [
        "authorize_timeout",
        "first_packet_timeout",
        "flood",
        "going_away",
        "kicked",
        "oversize",
        "packet_timeout",
        "protocol",
        "replaced",
        "silence",
        "text",
    ];
    let code = |name: &str| 4_100 + names.iter().position(|n| *n == name).expect("a name") as u16;
    let codes: String = names.iter().map(|name| format!("{name} = {}\n", code(name))).collect();
    let server = lobby_server()
        .settings("[gateway]\nfirst_packet_timeout = \"400ms\"\npacket_timeout = \"300ms\"\nheartbeat_interval = \"1s\"\n")
        .settings("[limits]\nexempt = []\nmessages_per_second = 1\nmessages_burst = 10\nconnections_burst = 1000\n")
        .settings(&format!("[close_codes]\n{codes}"))
        .listener("protocol = \"ws\"\n")
        .listener("protocol = \"ws\"\nauthorize_timeout = \"200ms\"\n")
        .start();
    let connect = |listener: usize| Dial::new(server.addresses()[listener], Wire::WS).connect();
    let login = || {
        let mut peer = connect(0);
        ask(&mut peer, lobby::LOGIN, r#"{"uid":9}"#);
        peer
    };
    let sent = |bytes: &[u8]| {
        let mut peer = connect(0);
        peer.write(bytes);
        peer
    };
    let replaced = login();
    let kicked = login();
    let mut kicking = connect(0);
    ask(&mut kicking, KICK, r#"{"uid":9,"code":1,"reason":"out"}"#);
    let mut cases: Vec<(&str, Peer)> = vec![
        ("authorize_timeout", connect(1)),
        ("first_packet_timeout", connect(0)),
        ("flood", sent(&frame(opcode::BINARY, &Wire::WS.data(lobby::ECHO, 1, b"x")).repeat(1_000))),
        ("kicked", kicked),
        ("oversize", sent(&raw_frame(0x80 | opcode::BINARY, true, 1 << 20, b""))),
        ("packet_timeout", sent(&raw_frame(0x80 | opcode::BINARY, true, 100, b"half"))),
        ("protocol", sent(&frame(opcode::BINARY, &[9]))),
        ("replaced", replaced),
        ("silence", sent(&frame(opcode::BINARY, &Wire::WS.heartbeat()))),
        ("text", sent(&frame(opcode::TEXT, b"{}"))),
    ];
    for (name, peer) in &mut cases {
        assert_eq!(peer.closed(), Some(code(name)), "{name}");
    }
    let mut last = connect(0);
    assert!(last.call(lobby::ECHO, b"still here").is_ok());
    server.send_terminate();
    assert!(matches!(last.next_within(Duration::from_secs(10)), Some(Message::Error { code: 10, .. })));
    assert_eq!(last.closed(), Some(code("going_away")));
    report!("close codes: {} causes, each with the code of the settings", cases.len() + 1);
}
