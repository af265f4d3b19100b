//! Our frame layer against tungstenite, which is the client; ours is the server.

use std::io::{self, Read, Write};

use duet_codec::ws::{Opcode, Role, WsDecoder, encode_close, encode_frame, encode_masked_frame, frame_header};
use duet_codec::{ByteOrder, Carrier, Format, Packet, Profile};
use proptest::prelude::*;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::{Message, WebSocket, protocol};

use crate::seen::{Seen, read_all, read_in_pieces, server};

/// Both directions of a connection, in memory.
#[derive(Default)]
struct Pipe {
    incoming: io::Cursor<Vec<u8>>,
    written: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(into)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn peer(role: protocol::Role, incoming: Vec<u8>) -> WebSocket<Pipe> {
    let pipe = Pipe { incoming: io::Cursor::new(incoming), written: Vec::new() };
    WebSocket::from_raw_socket(pipe, role, None)
}

/// What tungstenite writes as a client.
fn written_by_peer(messages: &[Message]) -> Vec<u8> {
    let mut peer = peer(protocol::Role::Client, Vec::new());
    for message in messages {
        peer.send(message.clone()).unwrap();
    }
    peer.get_ref().written.clone()
}

/// What tungstenite reads out of `bytes`.
fn read_by_peer(role: protocol::Role, bytes: Vec<u8>) -> Vec<Seen> {
    let mut peer = peer(role, bytes);
    let mut seen = Vec::new();
    while let Ok(message) = peer.read() {
        seen.push(match message {
            Message::Binary(payload) => Seen::Binary(payload.to_vec()),
            Message::Text(text) => Seen::Text(text.to_string()),
            Message::Ping(payload) => Seen::Ping(payload.to_vec()),
            Message::Pong(payload) => Seen::Pong(payload.to_vec()),
            Message::Close(frame) => close_seen(frame),
            Message::Frame(frame) => panic!("{frame:?}"),
        });
    }
    seen
}

fn close_seen(frame: Option<CloseFrame>) -> Seen {
    match frame {
        Some(frame) => Seen::Close(Some(frame.code.into()), frame.reason.to_string()),
        None => Seen::Close(None, String::new()),
    }
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..300),
        1 => (any::<u8>(), 65_000..66_500_usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

/// Messages that both ends can send.
fn messages() -> impl Strategy<Value = Seen> {
    let control = || prop::collection::vec(any::<u8>(), 0..126);
    prop_oneof![
        4 => payloads().prop_map(Seen::Binary),
        2 => "\\PC{0,100}".prop_map(Seen::Text),
        1 => control().prop_map(Seen::Ping),
        1 => control().prop_map(Seen::Pong),
    ]
}

fn to_peer(seen: &Seen) -> Message {
    match seen.clone() {
        Seen::Binary(payload) => Message::binary(payload),
        Seen::Text(text) => Message::text(text),
        Seen::Ping(payload) => Message::Ping(payload.into()),
        Seen::Pong(payload) => Message::Pong(payload.into()),
        other => panic!("{other:?} is not sent"),
    }
}

fn to_frame(seen: &Seen) -> (Opcode, &[u8]) {
    match seen {
        Seen::Binary(payload) => (Opcode::Binary, payload),
        Seen::Text(text) => (Opcode::Text, text.as_bytes()),
        Seen::Ping(payload) => (Opcode::Ping, payload),
        Seen::Pong(payload) => (Opcode::Pong, payload),
        other => panic!("{other:?} is not sent"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_the_peer_sends_arrives_however_it_is_split(
        sent in prop::collection::vec(messages(), 0..10),
        pieces in prop::collection::vec(1..2_000_usize, 1..20),
    ) {
        let stream = written_by_peer(&sent.iter().map(to_peer).collect::<Vec<_>>());
        let mut decoder = server(1 << 20);
        prop_assert_eq!(&read_in_pieces(&mut decoder, &stream, &pieces), &sent);
        prop_assert!(!decoder.is_partial());
        prop_assert_eq!(&read_in_pieces(&mut server(1 << 20), &stream, &[usize::MAX]), &sent);
    }

    #[test]
    fn fragments_of_the_peer_make_one_message(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6),
        pieces in prop::collection::vec(1..100_usize, 1..10),
    ) {
        let mut frames = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let opcode = if at == 0 { Data::Binary } else { Data::Continue };
            let frame = Frame::message(part.clone(), OpCode::Data(opcode), at + 1 == parts.len());
            frames.push(Message::Frame(frame));
            frames.push(Message::Ping(vec![at as u8].into()));
        }
        let mut expected: Vec<Seen> = (0..parts.len()).map(|at| Seen::Ping(vec![at as u8])).collect();
        expected.insert(parts.len() - 1, Seen::Binary(parts.concat()));
        let stream = written_by_peer(&frames);
        prop_assert_eq!(read_in_pieces(&mut server(1 << 20), &stream, &pieces), expected);
    }

    #[test]
    fn what_we_send_arrives_at_the_peer(sent in prop::collection::vec(messages(), 0..10)) {
        let (mut by_server, mut by_client) = (Vec::new(), Vec::new());
        for message in &sent {
            let (opcode, payload) = to_frame(message);
            encode_frame(opcode, payload, &mut by_server);
            encode_masked_frame(opcode, [1, 2, 3, 200], payload, &mut by_client);
        }
        let client = || WsDecoder::new(Role::Client, 1 << 20, true);
        prop_assert_eq!(&read_in_pieces(&mut client(), &by_server, &[77, 3]), &sent);
        prop_assert_eq!(&read_in_pieces(&mut server(1 << 20), &by_client, &[77, 3]), &sent);
        prop_assert_eq!(&read_by_peer(protocol::Role::Client, by_server), &sent);
        prop_assert_eq!(&read_by_peer(protocol::Role::Server, by_client), &sent);
    }
}

#[test]
fn close_frames_pass_both_ways() {
    let frame = CloseFrame { code: CloseCode::Away, reason: "see you".into() };
    let mut client = peer(protocol::Role::Client, Vec::new());
    client.close(Some(frame)).unwrap();
    let closed = Seen::Close(Some(1001), "see you".into());
    assert_eq!(read_all(|| server(10), &client.get_ref().written), [closed]);

    let mut client = peer(protocol::Role::Client, Vec::new());
    client.close(None).unwrap();
    assert_eq!(read_all(|| server(10), &client.get_ref().written), [Seen::Close(None, String::new())]);

    for (code, reason, expected) in [(1009, "too big", Some(1009)), (1005, "", None)] {
        let mut bytes = Vec::new();
        encode_close(code, reason, &mut bytes);
        assert_eq!(read_by_peer(protocol::Role::Client, bytes), [Seen::Close(expected, reason.into())]);
    }
}

#[test]
fn a_packet_is_written_right_behind_its_frame_header() {
    for profile in [Profile::Due2, Profile::Seed] {
        let format = Format::new(profile, ByteOrder::Big, 2, 2, 65_536).unwrap();
        for body in [vec![], vec![5; 117], vec![6; 118], vec![7; 65_536]] {
            let mut out = Vec::new();
            frame_header(Opcode::Binary, format.packet_bytes(Carrier::Message, body.len()), &mut out);
            format.encode(Carrier::Message, 1, -2, &body, &mut out).unwrap();
            let seen = read_by_peer(protocol::Role::Client, out);
            let [Seen::Binary(packet)] = &seen[..] else { panic!("{seen:?}") };
            let expected = Packet::Data { extcode: 0, route: 1, seq: -2, body: &body };
            assert_eq!(format.decode(Carrier::Message, packet), Ok(expected));
        }
    }
}
