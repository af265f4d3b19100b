//! The golden packets of `golden/packets.txt`, in both directions.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use duet_codec::{ByteOrder, Carrier, Cut, EXTCODE_ERROR, Format, Packet, Profile};

/// One line of the file, with the settings that apply to it.
struct Vector {
    name: String,
    format: Format,
    carrier: Carrier,
    kind: String,
    fields: HashMap<String, String>,
    written: bool,
    bytes: Vec<u8>,
}

#[test]
fn every_golden_packet_is_written_as_its_bytes() {
    let mut count = 0;
    for vector in vectors().iter().filter(|vector| vector.written) {
        let mut out = b"before".to_vec();
        vector.write(&mut out);
        assert_eq!(out.strip_prefix(b"before"), Some(&vector.bytes[..]), "{}", vector.name);
        count += 1;
    }
    assert!(count > 1_000, "only {count} packets");
}

#[test]
fn every_golden_packet_is_read_back() {
    for vector in vectors() {
        vector.check_read();
    }
}

#[test]
fn every_golden_packet_is_cut_out_of_a_stream_at_its_last_byte() {
    for vector in vectors().iter().filter(|vector| vector.carrier == Carrier::Stream) {
        let length = vector.bytes.len();
        let mut stream = vector.bytes.clone();
        stream.extend_from_slice(b"next");
        for end in 0..stream.len() {
            match vector.format.cut(&stream[..end]) {
                Ok(Cut::Need(bytes)) => assert!(end < bytes && bytes <= length, "{}", vector.name),
                Ok(Cut::Packet(bytes)) => {
                    assert!(bytes == length && end >= length, "{}", vector.name)
                }
                Err(error) => panic!("{}: {error}", vector.name),
            }
        }
    }
}

#[test]
fn the_golden_packets_cover_every_setting() {
    let covered: HashSet<String> = vectors().iter().map(|vector| format!("{:?} {:?}", vector.format, vector.carrier)).collect();
    assert_eq!(covered.len(), 2 * 2 * 3 * 4 * 2);
}

impl Vector {
    fn write(&self, out: &mut Vec<u8>) {
        let (format, carrier) = (self.format, self.carrier);
        match self.kind.as_str() {
            "data" => format.encode(carrier, self.number("route"), self.number("seq"), &self.bytes("body"), out).unwrap(),
            "error" => {
                let message = String::from_utf8(self.bytes("message")).unwrap();
                let (route, seq, code) = (self.number("route"), self.number("seq"), self.number("code"));
                format.encode_error(carrier, route, seq, code, &message, out).unwrap();
            }
            "heartbeat" => format.encode_heartbeat(carrier, self.time(), out),
            kind => panic!("a packet of kind {kind} is not written"),
        }
    }

    fn check_read(&self) {
        let read = self.format.decode(self.carrier, &self.bytes).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let body = if self.kind == "data" { self.bytes("body") } else { Vec::new() };
        match self.kind.as_str() {
            "data" => {
                let (extcode, route, seq) = (self.number("extcode"), self.number("route"), self.number("seq"));
                assert_eq!(read, Packet::Data { extcode, route, seq, body: &body }, "{}", self.name);
            }
            "error" => {
                let Packet::Data { extcode: EXTCODE_ERROR, route, seq, body } = read else {
                    panic!("{}: {read:?}", self.name);
                };
                assert_eq!((route, seq), (self.number("route"), self.number("seq")), "{}", self.name);
                let (code, message) = self.format.decode_error(body).unwrap();
                assert_eq!((code, message.as_bytes()), (self.number("code"), &self.bytes("message")[..]), "{}", self.name);
            }
            "heartbeat" => assert_eq!(read, Packet::Heartbeat { time: self.time() }, "{}", self.name),
            "empty" => assert_eq!(read, Packet::Empty, "{}", self.name),
            kind => panic!("unknown kind {kind}"),
        }
    }

    fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, field: &str) -> T {
        self.fields[field].parse().unwrap()
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        from_hex(&self.fields[field])
    }

    fn time(&self) -> Option<Duration> {
        self.fields.contains_key("time").then(|| Duration::from_nanos(self.number("time")))
    }
}

fn vectors() -> Vec<Vector> {
    let mut setting = "";
    let mut vectors = Vec::new();
    for line in include_str!("../../golden/packets.txt").lines() {
        if let Some(inside) = line.strip_prefix('[') {
            setting = inside.trim_end_matches(']');
        } else if !line.is_empty() && !line.starts_with('#') {
            vectors.push(parse(setting, line));
        }
    }
    vectors
}

fn parse(setting: &str, line: &str) -> Vector {
    let parts: Vec<&str> = setting.split(' ').collect();
    let profile = if parts[0] == "seed" { Profile::Seed } else { Profile::Due2 };
    let byte_order = if parts[1] == "little" { ByteOrder::Little } else { ByteOrder::Big };
    let carrier = if parts[4] == "message" { Carrier::Message } else { Carrier::Stream };
    let (name, rest) = line.split_once(": ").unwrap();
    let written = rest.contains(" <-> ");
    let (what, hex) = rest.split_once(if written { " <-> " } else { " <- " }).unwrap();
    let (kind, fields) = what.split_once(' ').unwrap_or((what, ""));
    Vector {
        name: format!("{setting}: {name}"),
        format: Format::new(profile, byte_order, parts[2].parse().unwrap(), parts[3].parse().unwrap(), 65_536).unwrap(),
        carrier,
        kind: kind.to_owned(),
        fields: fields
            .split_whitespace()
            .map(|field| field.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        written,
        bytes: from_hex(hex),
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b'-').collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
