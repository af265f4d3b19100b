//! WebSocket frames that a server has to refuse, and those that it has to take.

use duet_testkit::frame::{frame, opcode, raw_frame};
use duet_testkit::{Message, Peer, Wire, report};

use crate::{ECHO, echo_server};

const FIN: u8 = 0x80;

#[test]
fn frames_against_the_protocol_end_the_connection_with_their_close_code() {
    let server = echo_server().start();
    let packet = Wire::WS.data(ECHO, 1, b"abc");
    let bytes = packet.len() as u64;
    let cases = [
        ("a text message", frame(opcode::TEXT, b"{}"), 1003),
        ("an empty text message", frame(opcode::TEXT, b""), 1003),
        ("a text message of 2^40 bytes", raw_frame(FIN | opcode::TEXT, true, 1 << 40, b""), 1003),
        ("a message above the limit", raw_frame(FIN | opcode::BINARY, true, 1 << 20, b""), 1009),
        ("an unmasked frame", raw_frame(FIN | opcode::BINARY, false, bytes, &packet), 1002),
        ("reserved bit 1", raw_frame(FIN | 0x40 | opcode::BINARY, true, bytes, &packet), 1002),
        ("reserved bit 2", raw_frame(FIN | 0x20 | opcode::BINARY, true, bytes, &packet), 1002),
        ("reserved bit 3", raw_frame(FIN | 0x10 | opcode::BINARY, true, bytes, &packet), 1002),
        ("reserved opcode 3", frame(3, &packet), 1002),
        ("reserved opcode 11", frame(11, &packet), 1002),
        ("a ping in parts", raw_frame(opcode::PING, true, 1, b"x"), 1002),
        ("a ping of 126 bytes", frame(opcode::PING, &[0; 126]), 1002),
        ("a part of nothing", frame(opcode::CONTINUATION, &packet), 1002),
        ("a message inside a message", [raw_frame(opcode::BINARY, true, bytes, &packet), frame(opcode::BINARY, &packet)].concat(), 1002),
        ("a close frame with half a code", frame(opcode::CLOSE, &[3]), 1002),
        ("a close frame with a code that does not exist", frame(opcode::CLOSE, &[0, 1]), 1002),
    ];
    for (name, bytes, code) in &cases {
        let mut peer = Peer::connect(server.ws(), Wire::WS);
        peer.write(bytes);
        assert_eq!(peer.closed(), Some(*code), "{name}");
    }
    let (_, _) = server.terminate();
    let stopped = server.wait_for_log("stopped", std::time::Duration::ZERO);
    report!("ws frames: {} kinds of wrong frames, each with its close code; {}", cases.len(), stopped.split("closed=").nth(1).unwrap());
}

#[test]
fn a_message_in_parts_with_a_ping_between_them_is_one_packet() {
    let server = echo_server().start();
    let mut peer = Peer::connect(server.ws(), Wire::WS);
    let packet = Wire::WS.data(ECHO, 9, b"in parts");
    let (first, rest) = packet.split_at(3);
    peer.write(&raw_frame(opcode::BINARY, true, first.len() as u64, first));
    peer.write(&frame(opcode::PING, b"are you there"));
    assert_eq!(peer.bytes(15), [&[FIN | opcode::PONG, 13], b"are you there".as_slice()].concat());
    peer.write(&frame(opcode::CONTINUATION, rest));
    assert_eq!(peer.next(), Message::Data { route: ECHO, seq: 9, body: b"in parts".to_vec() });
}

#[test]
fn a_close_frame_is_answered_with_its_code() {
    let server = echo_server().start();
    for (payload, code) in [(1000_u16.to_be_bytes().to_vec(), 1000), (4001_u16.to_be_bytes().to_vec(), 4001), (Vec::new(), 1000)] {
        let mut peer = Peer::connect(server.ws(), Wire::WS);
        peer.write(&frame(opcode::CLOSE, &payload));
        assert_eq!(peer.closed(), Some(code));
        assert_eq!(peer.closed(), None, "then the socket is closed");
    }
}
