//! Sizes that a packet may have, and those that it may not.

use duet_testkit::frame::{opcode, raw_frame};
use duet_testkit::suite::sized;
use duet_testkit::{Carrier, Dial, Peer, Pki, Server, Wire, guest, report};

use super::{MIB, SOON, counted, grown_mib, lobby_server, takes_mib, wait_for_connections};
use crate::{ECHO, echo_server, echo_server_of_all_wires};

/// The default of `codec.body_bytes_max`.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Header, route and seq before it.
const CONTENT_BYTES_MAX: u32 = 5 + BODY_BYTES_MAX as u32;

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
        attack(&server, wire.name(), wire, &Dial::new(address, wire), sized(2_000, 10_000));
    }
}

#[test]
fn impossible_sizes_end_a_connection_with_tls_and_take_no_memory() {
    let pki = Pki::new();
    let listener = |wire: Wire| wire.listener() + &pki.settings();
    let server = echo_server().listener(&listener(Wire::TCP)).listener(&listener(Wire::WS)).start();
    for (wire, address) in [Wire::TCP, Wire::WS].into_iter().zip(server.addresses()) {
        let name = format!("{} with TLS", wire.name());
        attack(&server, &name, wire, &Dial::new(address, wire).tls(&pki.trust()), sized(500, 10_000));
    }
}

/// Connects and sends every impossible size in turn.
fn attack(server: &Server, name: &str, wire: Wire, dial: &Dial, repetitions: usize) {
    let cases = impossible(wire);
    let attack = |repetitions: usize| {
        for (bytes, end) in cases.iter().cycle().take(repetitions) {
            let mut peer = dial.connect();
            peer.write(bytes);
            assert_eq!(peer.closed(), *end, "{name} after {bytes:02x?}");
        }
    };
    attack((repetitions / 4).max(400));
    let grown = takes_mib(server, server.rss_bytes(), || attack(repetitions));
    report!("impossible sizes, {name}: {repetitions} connections, {repetitions} ended with the right code, memory +{grown:.2} MiB");
    assert!(grown < 1.0, "{grown} MiB, {name}");
    assert!(dial.connect().call(ECHO, b"well").is_ok(), "{name}");
}

#[test]
fn impossible_sizes_end_a_kcp_session_and_take_no_memory() {
    // A session that was ended lingers for its last bytes; without that the memory of many such sessions is that of none.
    let settings = "protocol = \"kcp\"\n[listener.kcp]\nlinger = \"0s\"\n";
    let server = lobby_server().plugin("hostile", guest("hostile")).listener("protocol = \"tcp\"\n").listener(settings).start();
    let mut observer = Peer::connect(server.tcp(), Wire::TCP);
    let cases = impossible(Wire::TCP);
    let mut attack = |repetitions: usize| {
        // Only as many at once as the queue of proved sessions takes.
        for batch in (0..repetitions).collect::<Vec<_>>().chunks(100) {
            for number in batch {
                // A first datagram that is shorter than the greeting is not answered, so something harmless comes first.
                let bytes = [Wire::TCP.heartbeat(), cases[number % cases.len()].0.clone()].concat();
                Dial::kcp(server.kcp()).connect().write(&bytes);
            }
            wait_for_connections(&mut observer, 1, SOON);
        }
        server.rss_bytes()
    };
    let (warm_up, repetitions) = (5_000, sized(1_000, 10_000));
    // What is remembered of sessions that ended is bounded, and part of the warm-up.
    let most = (0..warm_up / 1_000).map(|_| attack(1_000)).max().unwrap_or_default();
    let mut rounds = 0;
    let grown = takes_mib(&server, most, || {
        rounds += 1;
        attack(repetitions);
    });
    assert!(Dial::kcp(server.kcp()).connect().call(ECHO, b"well").is_ok());
    let stopped = server.stop();
    let (oversize, protocol) = (counted(&stopped, "oversize"), counted(&stopped, "protocol"));
    report!("impossible sizes, due2 on kcp: {repetitions} sessions, {repetitions} ended, memory +{grown:.2} MiB");
    assert!(grown < 1.0, "{grown} MiB");
    assert_eq!(oversize + protocol, (warm_up + rounds * repetitions) as u64, "{stopped}");
    let above = cases.iter().filter(|(bytes, _)| bytes.len() == 4).count();
    let expected = |count: usize| (0..count).filter(|number| number % cases.len() < above).count();
    assert_eq!(oversize, (warm_up / 1_000 * expected(1_000) + rounds * expected(repetitions)) as u64, "{stopped}");
}

#[test]
fn the_largest_size_without_a_body_takes_no_memory_on_kcp() {
    let server = lobby_server().plugin("hostile", guest("hostile")).listener("protocol = \"kcp\"\n").start();
    let mut peers: Vec<Peer> = (0..500).map(|_| Dial::kcp(server.kcp()).connect()).collect();
    let mut call_all = |body: &[u8]| {
        for peer in &mut peers {
            assert!(peer.call(ECHO, body).is_ok());
        }
    };
    call_all(b"hello");
    call_all(b"hello");
    let before = server.rss_bytes();
    for peer in &mut peers {
        peer.write(&Wire::TCP.size(CONTENT_BYTES_MAX));
    }
    // The driver of the port handles datagrams in their order.
    assert!(Dial::kcp(server.kcp()).connect().call(ECHO, b"hello").is_ok());
    let grown = grown_mib(&server, before);
    let claimed = f64::from(CONTENT_BYTES_MAX) * 500.0 / MIB;
    report!("largest size claimed, due2 on kcp: 500 at once claim {claimed:.0} MiB, memory +{grown:.2} MiB");
    // The kernel may give a page of 2 MiB at any time, here and in the next test.
    assert!(grown < claimed / 8.0, "{grown} MiB");
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
        report!("largest size claimed, {}: 500 at once claim {claimed:.0} MiB, memory +{grown:.2} MiB", wire.name());
        assert!(grown < claimed / 8.0, "{grown} MiB, {}", wire.name());
    }
}

fn impossible(wire: Wire) -> Vec<Case> {
    let above = [CONTENT_BYTES_MAX + 1, i32::MAX.cast_unsigned(), 1 << 31, u32::MAX];
    if wire.carrier == Carrier::Tcp {
        let mut cases: Vec<Case> = above.iter().map(|size| (wire.size(*size).to_vec(), None)).collect();
        // A header and nothing after it; a route and half a seq.
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
