//! Sizes that a packet may have, and those that it may not.

use duet_testkit::frame::{opcode, raw_frame};
use duet_testkit::{Carrier, Peer, Server, Wire};

use crate::{ECHO, echo_server_of_all_wires};

/// The default of `codec.body_bytes_max`.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Header, route and seq before it.
const CONTENT_BYTES_MAX: u32 = 5 + BODY_BYTES_MAX as u32;
/// Hostile connections for each profile on each carrier.
const REPETITIONS: usize = 2_000;
const MIB: f64 = (1 << 20) as f64;

/// Bytes, and how the connection has to end.
type Case = (Vec<u8>, Option<u16>);

#[test]
fn a_body_of_exactly_the_limit_is_echoed_and_one_byte_more_ends_the_connection() {
    let server = echo_server_of_all_wires().start();
    for (wire, address) in Wire::ALL.into_iter().zip(server.addresses()) {
        let mut peer = Peer::connect(address, wire);
        for bytes in [0, 1, BODY_BYTES_MAX - 1, BODY_BYTES_MAX] {
            let body: Vec<u8> = (0..=255).cycle().take(bytes).collect();
            assert!(peer.call(ECHO, &body) == Ok(body), "{bytes} bytes, {}", wire.name());
        }
        peer.send_data(ECHO, 1, &vec![0; BODY_BYTES_MAX + 1]);
        assert_eq!(peer.closed(), (wire.carrier == Carrier::Ws).then_some(1009), "{}", wire.name());
    }
}

#[test]
fn packets_of_size_zero_are_ignored() {
    let server = echo_server_of_all_wires().start();
    for (wire, address) in Wire::ALL.into_iter().zip(server.addresses()) {
        let mut peer = Peer::connect(address, wire);
        for _ in 0..1_000 {
            peer.send(&wire.packet(&[]));
        }
        assert_eq!(peer.call(ECHO, b"still here"), Ok(b"still here".to_vec()), "{}", wire.name());
    }
}

#[test]
fn impossible_sizes_end_the_connection_and_take_no_memory() {
    let server = echo_server_of_all_wires().start();
    for (wire, address) in Wire::ALL.into_iter().zip(server.addresses()) {
        let cases = impossible(wire);
        let attack = |repetitions: usize| {
            for (bytes, end) in cases.iter().cycle().take(repetitions) {
                let mut peer = Peer::connect(address, wire);
                peer.write(bytes);
                assert_eq!(peer.closed(), *end, "{} after {bytes:02x?}", wire.name());
            }
        };
        attack(REPETITIONS / 4);
        let before = server.rss_bytes();
        attack(REPETITIONS);
        let grown = grown_mib(&server, before);
        eprintln!("impossible sizes, {}: {REPETITIONS} connections, {REPETITIONS} ended, memory +{grown:.2} MiB", wire.name());
        assert!(grown < 1.0, "{grown} MiB, {}", wire.name());
        assert!(Peer::connect(address, wire).call(ECHO, b"well").is_ok(), "{}", wire.name());
    }
}

#[test]
fn the_largest_size_without_a_body_takes_no_memory() {
    let server = echo_server_of_all_wires().start();
    for (wire, address) in Wire::ALL.into_iter().zip(server.addresses()) {
        let mut peers: Vec<Peer> = (0..500).map(|_| Peer::connect(address, wire)).collect();
        for peer in &mut peers {
            assert!(peer.call(ECHO, b"hello").is_ok(), "{}", wire.name());
        }
        let before = server.rss_bytes();
        for peer in &mut peers {
            match wire.carrier {
                Carrier::Tcp => peer.write(&wire.size(CONTENT_BYTES_MAX)),
                Carrier::Ws => peer.write(&raw_frame(0x80 | opcode::BINARY, true, u64::from(CONTENT_BYTES_MAX), &[])),
            }
        }
        // An answer shows that the bytes before it on the same thread were read.
        for _ in 0..100 {
            assert!(Peer::connect(address, wire).call(ECHO, b"hello").is_ok(), "{}", wire.name());
        }
        let grown = grown_mib(&server, before);
        let claimed = f64::from(CONTENT_BYTES_MAX) * 500.0 / MIB;
        eprintln!("largest size claimed, {}: 500 at once claim {claimed:.0} MiB, memory +{grown:.2} MiB", wire.name());
        assert!(grown < 1.0, "{grown} MiB, {}", wire.name());
    }
}

fn grown_mib(server: &Server, before: u64) -> f64 {
    server.rss_bytes().saturating_sub(before) as f64 / MIB
}

fn impossible(wire: Wire) -> Vec<Case> {
    let above = [CONTENT_BYTES_MAX + 1, i32::MAX.cast_unsigned(), 1 << 31, u32::MAX];
    if wire.carrier == Carrier::Tcp {
        let mut cases: Vec<Case> = above.iter().map(|size| (wire.size(*size).to_vec(), None)).collect();
        // A header and nothing behind it; a route and half a seq.
        cases.extend([wire.packet(&[0]), wire.packet(&[0, 0, ECHO as u8, 0])].map(|packet| (packet, None)));
        return cases;
    }
    let binary = |claimed: u64, payload: &[u8]| raw_frame(0x80 | opcode::BINARY, true, claimed, payload);
    let whole = |payload: &[u8]| binary(payload.len() as u64, payload);
    // What fits due2's size field as well is above the limit of seed, which has none.
    let mut cases: Vec<Case> = above.iter().map(|size| (binary(u64::from(*size) + 4, &[]), Some(1009))).collect();
    cases.push((binary(i64::MAX as u64, &[]), Some(1009)));
    cases.push((binary(1 << 63, &[]), Some(1002)));
    cases.push((whole(&wire.packet(&[0])), Some(1002)));
    cases.push((whole(&wire.packet(&[0, 0, ECHO as u8, 0])), Some(1002)));
    if wire.has_size() {
        // The size field does not say what the message has.
        cases.push((whole(&[0]), Some(1002)));
        for size in [0, 4, 6, CONTENT_BYTES_MAX, CONTENT_BYTES_MAX + 1, i32::MAX.cast_unsigned(), u32::MAX] {
            cases.push((whole(&[&wire.size(size), [0; 5].as_slice()].concat()), Some(1002)));
        }
    }
    cases
}
