//! Clients that ask and do not read the answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use duet_testkit::frame::{frame, opcode};
use duet_testkit::{Honest, Peer, Server, Wire, report};

use crate::{ECHO, echo_server};

const SLOW: usize = 20;
const HONEST: usize = 20;
const BODY_BYTES: usize = 48 << 10;
const MIB: f64 = (1 << 20) as f64;

#[test]
fn clients_that_ask_and_do_not_read_are_not_read_any_more_and_nobody_notices() {
    let server = echo_server().settings("[gateway]\nwrite_queue_bytes = \"1MiB\"\nwrite_timeout = \"1s\"\n").start();
    let grown = attack(&server, "slow readers that ask");
    // Each may have half of its queue of 1 MiB and what was in flight; the rest is what the plugin's queues and batches take. They would ask
    // for about 2 GiB.
    assert!(grown < SLOW as f64 + 64.0, "{grown} MiB");
    // The log names what ended them, with the key that sets the limit.
    let line = server.wait_for_log("closed as write_timeout", Duration::ZERO);
    assert!(line.contains("gateway.write_timeout"), "{line}");
    let stopped = server.stop();
    assert!(stopped.contains(&format!("write_timeout={SLOW}")), "{stopped}");
}

#[test]
fn clients_that_do_not_read_are_closed_at_the_write_deadline_when_their_queue_has_room() {
    let settings =
        "[log]\nlevel = \"debug\"\n[gateway]\nwrite_queue_bytes = \"1GiB\"\nwrite_queue_packets = 100000\nwrite_timeout = \"500ms\"\n";
    let server = echo_server().settings(settings).start();
    for (address, wire) in [(server.tcp(), Wire::TCP), (server.ws(), Wire::WS)] {
        let mut peer = Peer::connect(address, wire);
        let packet = echo_request(wire);
        // More than the buffers of both sockets take, and then nothing: it does not read and does not close.
        let sent = (0..400).take_while(|_| peer.try_write(&packet)).count();
        let ended = format!("conn={} ", if wire == Wire::TCP { 1 } else { 2 });
        let line = server.wait_for_log(&ended, Duration::from_secs(10));
        assert!(line.contains("write_timeout"), "{line}");
        report!("slow reader, write deadline 500 ms, {}: closed after {sent} requests of 48 KiB", wire.name());
    }
    assert!(server.terminate().0.success());
    let stopped = server.wait_for_log("stopped", Duration::ZERO);
    assert!(stopped.contains("write_timeout=2"), "{stopped}");
}

/// A request with a large answer, as it is on the wire.
fn echo_request(wire: Wire) -> Vec<u8> {
    let packet = wire.data(ECHO, 1, &vec![7; BODY_BYTES]);
    if wire == Wire::WS { frame(opcode::BINARY, &packet) } else { packet }
}

/// Slow readers and honest clients at once. Returns how much memory the server took for it, in MiB.
fn attack(server: &Server, name: &str) -> f64 {
    let (tcp, ws) = (server.tcp(), server.ws());
    // Warm: buffers of the plugin and of the gate are as large as they will be.
    let body = vec![7; BODY_BYTES];
    for (address, wire) in [(tcp, Wire::TCP), (ws, Wire::WS)] {
        assert!(Peer::connect(address, wire).call(ECHO, &body).is_ok());
    }
    let mut number = 0;
    let honest = Honest::start(HONEST, || {
        number += 1;
        let (address, wire) = if number % 2 == 0 { (tcp, Wire::TCP) } else { (ws, Wire::WS) };
        let mut peer = Peer::connect(address, wire);
        Box::new(move || assert_eq!(peer.call(ECHO, b"honest"), Ok(b"honest".to_vec())))
    });
    let before = server.rss_bytes();
    let sent = Arc::<AtomicU64>::default();
    let slow: Vec<_> = (0..SLOW)
        .map(|number| {
            let (sent, (address, wire)) = (Arc::clone(&sent), if number % 2 == 0 { (tcp, Wire::TCP) } else { (ws, Wire::WS) });
            std::thread::spawn(move || ask_without_reading(address, wire, &sent))
        })
        .collect();
    let mut most = before;
    while !slow.iter().all(std::thread::JoinHandle::is_finished) {
        most = most.max(server.rss_bytes());
        std::thread::park_timeout(Duration::from_millis(2));
    }
    for slow in slow {
        slow.join().unwrap();
    }
    let waits = honest.stop();
    let grown = (most - before) as f64 / MIB;
    report!(
        "{name}: {SLOW} slow readers closed after {} requests of 48 KiB, memory +{grown:.1} MiB at most, {HONEST} others made {} calls, \
         0 failed, p99 {:.1} ms",
        sent.load(Ordering::Relaxed),
        waits.count(),
        waits.p99_ms()
    );
    grown
}

/// Asks until the server has closed the connection.
fn ask_without_reading(address: SocketAddr, wire: Wire, sent: &AtomicU64) {
    let mut peer = Peer::connect(address, wire);
    let packet = echo_request(wire);
    for _ in 0..2_000 {
        if !peer.try_write(&packet) {
            return;
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
    panic!("2,000 requests were taken from a client that does not read");
}
