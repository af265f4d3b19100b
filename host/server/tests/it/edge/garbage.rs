//! Bytes that are not packets: random ones, and packets that stop in the middle.

use std::net::SocketAddr;
use std::time::Duration;

use duet_testkit::frame::{frame, opcode};
use duet_testkit::{Carrier, Honest, Peer, Random, Wire, report, upgrade_request};

use crate::{ECHO, echo_server_of_all_wires};

/// Inputs for each profile on each carrier; on ws, half of them before the upgrade is done.
const INPUTS: usize = 1_500;
/// Each input is drawn from its number, so a failure can be repeated.
const SEED: u64 = 0x0dd_ba11;

#[test]
fn random_and_truncated_bytes_harm_nobody_else() {
    let server = echo_server_of_all_wires().start();
    let addresses: Vec<(Wire, SocketAddr)> = Wire::ALL.into_iter().zip(server.addresses()).collect();
    let mut honest = addresses.iter().cycle();
    let honest = Honest::start(4, || {
        let (wire, address) = *honest.next().unwrap();
        let mut peer = Peer::connect(address, wire);
        Box::new(move || assert_eq!(peer.call(ECHO, b"honest"), Ok(b"honest".to_vec())))
    });
    let threads: Vec<_> = addresses.iter().map(|&(wire, address)| std::thread::spawn(move || throw(wire, address))).collect();
    let inputs: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
    assert!(server.is_alive());
    let waits = honest.stop();
    report!("garbage: {inputs} random or cut inputs, 0 crashes, {} honest calls, 0 failed, p99 {:.1} ms", waits.count(), waits.p99_ms());
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Throws inputs at a listener, and waits for each until the server has closed the connection.
fn throw(wire: Wire, address: SocketAddr) -> usize {
    for number in 0..INPUTS {
        let mut random = Random::new(SEED + number as u64);
        let before_upgrade = wire.carrier == Carrier::Ws && number % 2 == 0;
        let mut peer = if before_upgrade { Peer::bare(address, wire) } else { Peer::connect(address, wire) };
        let input = if before_upgrade { no_upgrade(&mut random) } else { no_packets(&mut random, wire) };
        peer.write(&input);
        peer.finish();
        // What the server answers to a whole packet in between does not matter, only that the connection ends.
        let mut rest = Vec::new();
        peer.stream().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        match std::io::Read::read_to_end(&mut peer.stream(), &mut rest) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(e) => panic!("input {number}, {}: {e}; {input:02x?}", wire.name()),
        }
    }
    INPUTS
}

/// Random bytes, a request that stops, or one with a few wrong bytes.
fn no_upgrade(random: &mut Random) -> Vec<u8> {
    let mut request = upgrade_request("/").into_bytes();
    match random.below(3) {
        0 => {
            let bytes = random.below(2_000);
            random.bytes(bytes)
        }
        1 => {
            request.truncate(random.below(request.len()));
            request
        }
        _ => {
            damage(&mut request, random);
            request
        }
    }
}

/// Random bytes, whole packets and then one that stops, or packets with a few wrong bytes.
fn no_packets(random: &mut Random, wire: Wire) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=random.below(3) {
        let length = random.below(300);
        let packet = wire.data(ECHO, 1, &random.bytes(length));
        bytes.extend(if wire.carrier == Carrier::Ws { frame(opcode::BINARY, &packet) } else { packet });
    }
    match random.below(3) {
        0 => {
            let length = random.below(2_000);
            random.bytes(length)
        }
        1 => {
            bytes.truncate(random.below(bytes.len()));
            bytes
        }
        _ => {
            damage(&mut bytes, random);
            bytes
        }
    }
}

fn damage(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let place = random.below(bytes.len());
        bytes[place] = random.next_u64() as u8;
    }
}
