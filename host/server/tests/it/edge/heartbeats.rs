//! Heartbeats and silence.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use duet_testkit::frame::{frame, opcode};
use duet_testkit::{Carrier, Message, Peer, ServerBuilder, Wire, report};

use crate::{ECHO, echo_server};

/// Short, so that two of them are not long; long, so that a busy machine sends within one.
const INTERVAL: Duration = Duration::from_millis(500);
/// How much later than promised something may come, however busy the machine is.
const SLACK: Duration = Duration::from_secs(10);

/// A listener for each profile on each carrier with these further settings.
fn server(listener: &str) -> ServerBuilder {
    Wire::ALL.iter().fold(echo_server(), |server, wire| {
        server.listener(&format!("{}heartbeat_interval = \"{}ms\"\n{listener}", wire.listener(), INTERVAL.as_millis()))
    })
}

#[test]
fn each_heartbeat_is_answered_with_the_bytes_of_its_profile() {
    for with_time in [false, true] {
        let server = server(&format!("heartbeat_time = {with_time}\n")).start();
        for (wire, address) in Wire::ALL.into_iter().zip(server.addresses()) {
            let mut peer = Peer::connect(address, wire);
            let mut head: Vec<u8> = Vec::new();
            let packet: &[u8] = match (wire.has_size(), with_time) {
                (true, false) => b"\x00\x00\x00\x01\x80",
                (true, true) => b"\x00\x00\x00\x09\x80",
                (false, _) => b"\x80",
            };
            if wire.carrier == Carrier::Ws {
                head.extend([0x82, packet.len() as u8 + if with_time { 8 } else { 0 }]);
            }
            head.extend(packet);
            for _ in 0..3 {
                peer.send(&wire.heartbeat());
                assert_eq!(peer.bytes(head.len()), head, "{}", wire.name());
                if with_time {
                    is_now(wire, i64::from_be_bytes(peer.bytes(8).try_into().unwrap()));
                }
            }
        }
    }
}

#[test]
fn a_seed_listener_sends_the_time_unless_told_otherwise() {
    let server = server("").start();
    for (wire, address) in Wire::ALL.into_iter().zip(server.addresses()) {
        let mut peer = Peer::connect(address, wire);
        peer.send(&wire.heartbeat());
        let Message::Heartbeat(time) = peer.next() else { panic!("no heartbeat, {}", wire.name()) };
        assert_eq!(time.is_some(), wire.seed, "{}", wire.name());
    }
}

#[test]
fn a_ticking_server_sends_heartbeats_by_itself_and_does_not_answer() {
    for with_time in [false, true] {
        let server = server(&format!("heartbeat = \"tick\"\nheartbeat_time = {with_time}\n")).start();
        let mut peers: Vec<Peer> =
            Wire::ALL.into_iter().zip(server.addresses()).map(|(wire, address)| Peer::connect(address, wire)).collect();
        let begun = Instant::now();
        for tick in 1..=3 {
            for peer in &mut peers {
                // A sign of life, and no answer to it: after three rounds there would be more heartbeats than ticks.
                let heartbeat = peer.wire().heartbeat();
                peer.send(&heartbeat);
            }
            for peer in &mut peers {
                let Message::Heartbeat(time) = peer.next() else { panic!("no heartbeat, {}", peer.wire().name()) };
                assert_eq!(time.is_some(), with_time, "{}", peer.wire().name());
                time.into_iter().for_each(|time| is_now(peer.wire(), time));
            }
            let expected = INTERVAL * tick;
            let late = begun.elapsed().saturating_sub(expected);
            assert!(begun.elapsed() + Duration::from_millis(100) > expected && late < SLACK, "tick {tick} after {:?}", begun.elapsed());
        }
    }
}

#[test]
fn a_server_with_heartbeats_off_does_not_answer_them_and_still_counts_them_as_life() {
    let server = server("heartbeat = \"off\"\n").start();
    for (wire, address) in Wire::ALL.into_iter().zip(server.addresses()) {
        let mut peer = Peer::connect(address, wire);
        peer.send(&wire.heartbeat());
        peer.send_data(ECHO, 1, b"first answer");
        assert_eq!(peer.next(), Message::Data { route: ECHO, seq: 1, body: b"first answer".to_vec() }, "{}", wire.name());
    }
}

#[test]
fn silence_of_two_intervals_ends_the_connection() {
    for mechanism in ["resp", "tick"] {
        let server = server(&format!("heartbeat = \"{mechanism}\"\n")).start();
        let mut silent: Vec<(Peer, Instant)> = Wire::ALL
            .into_iter()
            .zip(server.addresses())
            .map(|(wire, address)| {
                let mut peer = Peer::connect(address, wire);
                let last = Instant::now();
                assert!(peer.call(ECHO, b"my last").is_ok());
                (peer, last)
            })
            .collect();
        let mut worst = Duration::ZERO;
        for (peer, last) in &mut silent {
            let code = peer.closed();
            let after = last.elapsed();
            assert_eq!(code, (peer.wire().carrier == Carrier::Ws).then_some(1008), "{}", peer.wire().name());
            assert!(after >= INTERVAL * 2 && after < INTERVAL * 2 + SLACK, "{}: after {after:?}", peer.wire().name());
            worst = worst.max(after);
        }
        assert!(server.terminate().0.success());
        assert!(server.wait_for_log("stopped", Duration::ZERO).contains("silence=4"));
        report!(
            "silence, {mechanism}: 4 silent, 4 closed, limit {:.1} s, worst {:.2} s",
            INTERVAL.as_secs_f64() * 2.0,
            worst.as_secs_f64()
        );
    }
}

#[test]
fn any_packet_is_a_sign_of_life() {
    let server = server("").start();
    let mut peers: Vec<(Peer, Vec<u8>)> = Vec::new();
    for (wire, address) in Wire::ALL.into_iter().zip(server.addresses()) {
        let framed = |packet: Vec<u8>| if wire.carrier == Carrier::Ws { frame(opcode::BINARY, &packet) } else { packet };
        let mut signs = vec![framed(wire.heartbeat()), framed(wire.packet(&[])), framed(wire.data(9_999, 1, b"unknown route"))];
        if wire.carrier == Carrier::Ws {
            signs.extend([frame(opcode::PING, b"x"), frame(opcode::PONG, b"")]);
        }
        peers.extend(signs.into_iter().map(|sign| (Peer::connect(address, wire), sign)));
    }
    keep_alive(&mut peers);
    report!("signs of life: {} connections of every kind kept alive for {:.1} s", peers.len(), INTERVAL.as_secs_f64() * 4.0);
}

#[test]
fn the_big_endian_heartbeat_of_due_client_ts_keeps_a_little_endian_connection_alive() {
    let wires = [Wire { little: true, ..Wire::TCP }, Wire { little: true, ..Wire::WS }];
    let listeners = wires.map(|w| format!("{}heartbeat_interval = \"500ms\"\n", w.listener()));
    let server = echo_server().listener(&listeners[0]).listener(&listeners[1]).start();
    let mut peers: Vec<(Peer, Vec<u8>)> = Vec::new();
    for (wire, address) in wires.into_iter().zip(server.addresses()) {
        let foreign = b"\x00\x00\x00\x01\x80";
        let mut peer = Peer::connect(address, wire);
        peer.send(foreign);
        assert_eq!(peer.next(), Message::Heartbeat(None), "answered, {}", wire.name());
        assert_eq!(peer.call(ECHO, b"little"), Ok(b"little".to_vec()));
        let bytes = if wire.carrier == Carrier::Ws { frame(opcode::BINARY, foreign) } else { foreign.to_vec() };
        peers.push((peer, bytes));
    }
    keep_alive(&mut peers);
}

/// Sends each connection's sign of life three times an interval, for four intervals, and then a request.
fn keep_alive(peers: &mut [(Peer, Vec<u8>)]) {
    let begun = Instant::now();
    while begun.elapsed() < INTERVAL * 4 {
        for (peer, sign) in peers.iter_mut() {
            assert!(peer.try_write(sign), "{} is closed after {:?}", peer.wire().name(), begun.elapsed());
        }
        std::thread::park_timeout(INTERVAL / 3);
    }
    for (peer, sign) in peers {
        peer.send_data(ECHO, 77, b"alive");
        let alive = Message::Data { route: ECHO, seq: 77, body: b"alive".to_vec() };
        loop {
            match peer.next() {
                // Answers to the signs of life.
                Message::Heartbeat(_) | Message::Error { code: 3, seq: 1, .. } => {}
                other => break assert_eq!(other, alive, "{} after {sign:02x?}", peer.wire().name()),
            }
        }
    }
}

fn is_now(wire: Wire, time: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let time = if wire.seed { Duration::from_millis(time.cast_unsigned()) } else { Duration::from_nanos(time.cast_unsigned()) };
    assert!(now.abs_diff(time) < Duration::from_secs(5), "{time:?} instead of {now:?}, {}", wire.name());
}
