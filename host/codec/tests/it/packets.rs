//! Any packets, in any format, cut out of a stream that arrives in any pieces.

use std::time::Duration;

use duet_codec::{ByteOrder, Carrier, Cut, EXTCODE_ERROR, EXTCODE_PLAIN, Format, Packet, Profile};
use proptest::prelude::*;

/// A packet that owns its body.
#[derive(Clone, Debug, PartialEq)]
enum Sent {
    Empty,
    Heartbeat(Option<Duration>),
    Data(i32, i32, Vec<u8>),
    Error(i32, i32, u16, String),
}

fn formats() -> impl Strategy<Value = Format> {
    let profile = prop_oneof![Just(Profile::Due2), Just(Profile::Seed)];
    let order = prop_oneof![Just(ByteOrder::Big), Just(ByteOrder::Little)];
    let route_bytes = prop::sample::select(vec![1, 2, 4]);
    let seq_bytes = prop::sample::select(vec![0, 1, 2, 4]);
    let limit = prop::sample::select(vec![300, 65_536, 1 << 24]);
    (profile, order, route_bytes, seq_bytes, limit)
        .prop_map(|(profile, order, route, seq, limit)| Format::new(profile, order, route, seq, limit).unwrap())
}

fn packets() -> impl Strategy<Value = Sent> {
    prop_oneof![
        Just(Sent::Empty),
        // Whole milliseconds, which both profiles can carry.
        prop::option::of(0..9_000_000_000_000_u64).prop_map(|ms| Sent::Heartbeat(ms.map(Duration::from_millis))),
        (any::<i32>(), any::<i32>(), prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(route, seq, body)| Sent::Data(route, seq, body)),
        (any::<i32>(), any::<i32>(), any::<u16>(), "\\PC{0,20}")
            .prop_map(|(route, seq, code, message)| Sent::Error(route, seq, code, message)),
    ]
}

/// Cuts a number down to the width of its field.
fn narrow(value: i32, bytes: usize) -> i32 {
    match bytes {
        0 => 0,
        1 => i32::from(value as i8),
        2 => i32::from(value as i16),
        _ => value,
    }
}

impl Sent {
    fn fit(self, format: &Format) -> Self {
        let route_of = |route| narrow(route, format.route_bytes());
        let seq_of = |seq| narrow(seq, format.seq_bytes());
        match self {
            Self::Data(route, seq, body) => Self::Data(route_of(route), seq_of(seq), body),
            Self::Error(route, seq, code, message) => Self::Error(route_of(route), seq_of(seq), code, message),
            other => other,
        }
    }

    fn write(&self, format: &Format, carrier: Carrier, out: &mut Vec<u8>) {
        match self {
            Self::Empty if format.profile() == Profile::Seed && carrier == Carrier::Message => {}
            Self::Empty => out.extend_from_slice(&[0; 4]),
            Self::Heartbeat(time) => format.encode_heartbeat(carrier, *time, out),
            Self::Data(route, seq, body) => format.encode(carrier, *route, *seq, body, out).unwrap(),
            Self::Error(route, seq, code, message) => {
                format.encode_error(carrier, *route, *seq, *code, message, out).unwrap();
            }
        }
    }

    fn read(format: &Format, carrier: Carrier, packet: &[u8]) -> Self {
        match format.decode(carrier, packet).unwrap() {
            Packet::Empty => Self::Empty,
            Packet::Heartbeat { time } => Self::Heartbeat(time),
            Packet::Data { extcode: EXTCODE_PLAIN, route, seq, body } => Self::Data(route, seq, body.to_vec()),
            Packet::Data { extcode, route, seq, body } => {
                assert_eq!(extcode, EXTCODE_ERROR);
                let (code, message) = format.decode_error(body).unwrap();
                Self::Error(route, seq, code, message.to_owned())
            }
        }
    }
}

proptest! {
    #[test]
    fn a_packet_comes_back_from_either_carrier(format in formats(), packet in packets()) {
        let packet = packet.fit(&format);
        for carrier in [Carrier::Stream, Carrier::Message] {
            let mut bytes = Vec::new();
            packet.write(&format, carrier, &mut bytes);
            prop_assert!(bytes.len() <= format.packet_bytes_max());
            prop_assert_eq!(&Sent::read(&format, carrier, &bytes), &packet);
        }
    }

    #[test]
    fn a_stream_gives_its_packets_however_it_is_split(
        format in formats(),
        sent in prop::collection::vec(packets(), 0..12),
        pieces in prop::collection::vec(1..90_usize, 1..20),
    ) {
        let sent: Vec<Sent> = sent.into_iter().map(|packet| packet.fit(&format)).collect();
        let mut stream = Vec::new();
        for packet in &sent {
            packet.write(&format, Carrier::Stream, &mut stream);
        }
        let mut got = Vec::new();
        let mut buffer: Vec<u8> = Vec::new();
        let mut rest = &stream[..];
        for piece in pieces.iter().cycle() {
            while let Cut::Packet(bytes) = format.cut(&buffer).unwrap() {
                got.push(Sent::read(&format, Carrier::Stream, &buffer[..bytes]));
                buffer.drain(..bytes);
            }
            if rest.is_empty() {
                break;
            }
            let (arrived, later) = rest.split_at(rest.len().min(*piece));
            buffer.extend_from_slice(arrived);
            rest = later;
        }
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(got, sent);
    }
}
