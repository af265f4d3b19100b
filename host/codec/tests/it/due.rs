//! The packets that `due`'s own packer makes (`host/testkit/peers/go-due`, script `vectors`): written and read the same here.

use std::collections::HashMap;

use duet_codec::{ByteOrder, Carrier, Format, Packet, Profile};

const VECTORS: &str = include_str!("../../../testkit/peers/go-due/vectors.txt");

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn order(settings: &HashMap<&str, &str>) -> ByteOrder {
    if settings["order"] == "big" { ByteOrder::Big } else { ByteOrder::Little }
}

#[test]
fn packets_are_those_of_dues_own_packer() {
    let (mut data, mut heartbeats, mut refused) = (0, 0, 0);
    for line in VECTORS.lines().filter(|l| !l.starts_with('#')) {
        let [name, settings, hex] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let settings: HashMap<&str, &str> = settings.split(',').filter_map(|s| s.split_once('=')).collect();
        if name.starts_with("heartbeat") {
            let format = Format::new(Profile::Due2, order(&settings), 2, 2, 5000).unwrap();
            let time = settings.get("unix_ns").map(|ns| std::time::Duration::from_nanos(ns.parse().unwrap()));
            let mut out = Vec::new();
            format.encode_heartbeat(Carrier::Stream, time, &mut out);
            assert_eq!(out, bytes(hex), "{line}");
            assert_eq!(format.decode(Carrier::Stream, &out), Ok(Packet::Heartbeat { time }), "{line}");
            heartbeats += 1;
            continue;
        }
        let number = |key| settings[key].parse::<i32>().unwrap();
        let (route, seq) = (number("route"), number("seq"));
        let format = Format::new(Profile::Due2, order(&settings), number("route_bytes") as u8, number("seq_bytes") as u8, 5000).unwrap();
        let body = bytes(settings["body"]);
        let mut out = Vec::new();
        let encoded = format.encode(Carrier::Stream, route, seq, &body, &mut out);
        if hex == "refused" {
            assert!(encoded.is_err(), "{line}");
            refused += 1;
            continue;
        }
        assert_eq!((encoded, &out), (Ok(()), &bytes(hex)), "{line}");
        let seq = if format.seq_bytes() == 0 { 0 } else { seq };
        assert_eq!(format.decode(Carrier::Message, &out), Ok(Packet::Data { extcode: 0, route, seq, body: &body }), "{line}");
        data += 1;
    }
    assert!(data > 100 && heartbeats >= 4 && refused > 20, "{data} packets, {heartbeats} heartbeats, {refused} refused");
}
