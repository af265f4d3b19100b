//! Addresses that do too much, and others that do not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use duet_testkit::suite::{raise_file_limit, sized};
use duet_testkit::{Dial, Honest, Message, Peer, Server, Wire, report};

use super::{PATIENT, address, baseline, beside, counted, lobby, lobby_server, takes_mib};

const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Nobody is exempt: otherwise nothing on this machine would be limited.
const LIMITS: &str = "[limits]\nexempt = []\n";
const HONEST: usize = 8;
const BUSY: u16 = 5;
/// The defaults of `[limits]`.
const CONNECTIONS_PER_SECOND: f64 = 5.0;
const MESSAGES_PER_SECOND: f64 = 50.0;

/// Clients that stay below all limits, each at an address of its own.
fn honest(server: &Server) -> Honest {
    let wires = [(server.tcp(), Wire::TCP), (server.ws(), Wire::WS)];
    let mut number = 0;
    Honest::start_every(Duration::from_millis(25), HONEST, || {
        number += 1;
        let (address, wire) = wires[number % 2];
        let mut peer = Dial::new(address, wire).from(Ipv4Addr::new(127, 0, 0, 2 + number as u8)).connect();
        Box::new(move || assert_eq!(peer.call(lobby::ECHO, b"honest"), Ok(b"honest".to_vec())))
    })
}

/// Does something this many times a second until told to stop. Returns how many times it was done.
fn steadily(per_second: f64, stop: Arc<AtomicBool>, mut work: impl FnMut() + Send + 'static) -> std::thread::JoinHandle<usize> {
    std::thread::spawn(move || {
        let (begun, mut done) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            while (done as f64) < begun.elapsed().as_secs_f64() * per_second {
                work();
                done += 1;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        done
    })
}

#[test]
fn an_address_at_ten_times_every_limit_is_refused_by_cause_and_others_do_not_notice() {
    let time = Duration::from_secs(sized(4, 30) as u64);
    let server = lobby_server().settings(LIMITS).start();
    let (tcp, ws) = (server.tcp(), server.ws());
    let before = baseline(|| honest(&server));
    let during = honest(&server);

    let stop = Arc::<AtomicBool>::default();
    // The one that sends is connected before the bucket of its address is empty.
    let mut sender = Dial::new(tcp, Wire::TCP).from(ATTACKER).connect();
    let mut held = Vec::new();
    let opening = steadily(10.0 * CONNECTIONS_PER_SECOND, Arc::clone(&stop), move || {
        let (address, wire) = if held.len() % 2 == 0 { (tcp, Wire::TCP) } else { (ws, Wire::WS) };
        held.push(Dial::new(address, wire).from(ATTACKER).bare());
    });
    let seen = sender.second();
    let sending = steadily(10.0 * MESSAGES_PER_SECOND, Arc::clone(&stop), move || sender.send_data(lobby::ECHO, 1, b"flood"));
    let answers = std::thread::spawn(move || answers(seen));
    std::thread::park_timeout(time);
    stop.store(true, Ordering::Relaxed);
    let (opened, sent) = (opening.join().unwrap(), sending.join().unwrap());
    let waits = during.stop();
    let (served, busy) = answers.join().unwrap();

    // Ten times as much again is a flood.
    let mut flooder = Dial::new(tcp, Wire::TCP).from(address(0)).connect();
    let packet = Wire::TCP.data(lobby::ECHO, 1, b"x").repeat(1_000);
    while flooder.try_write(&packet) {}
    let stopped = server.stop();
    report!(
        "flood of one address: {opened} connections at 10 x the rate, {} admitted, {} refused; {sent} messages at 10 x the rate, {served} served, \
         {busy} answered busy; {HONEST} others made {}",
        opened as u64 - counted(&stopped, "address_rate") - counted(&stopped, "address_connections"),
        counted(&stopped, "address_rate") + counted(&stopped, "address_connections"),
        beside(&before, &waits)
    );
    let seconds = time.as_secs_f64() + 2.0;
    let admitted = opened as f64 - counted(&stopped, "address_rate") as f64 - counted(&stopped, "address_connections") as f64;
    assert!(admitted <= 20.0 + seconds * CONNECTIONS_PER_SECOND, "{admitted} connections: {stopped}");
    assert!(served as f64 <= 100.0 + seconds * MESSAGES_PER_SECOND, "{served} messages");
    assert!(served + busy > 0 && served + busy <= sent, "{served} + {busy} of {sent}");
    for name in ["address_rate", "message_rate", "flood"] {
        assert!(counted(&stopped, name) > 0, "{name} is missing: {stopped}");
    }
    assert_eq!(counted(&stopped, "flood"), 1, "{stopped}");
}

/// How many requests were served, and how many were answered busy, until nothing more comes.
fn answers(mut peer: Peer) -> (usize, usize) {
    let (mut served, mut busy) = (0, 0);
    while let Some(message) = peer.next_within(Duration::from_secs(1)) {
        match message {
            Message::Data { .. } => served += 1,
            Message::Error { code: BUSY, .. } => busy += 1,
            Message::Heartbeat(_) => {}
            other => panic!("{other:?} after {served} answers"),
        }
    }
    (served, busy)
}

#[test]
fn an_address_has_so_many_connections_at_a_time() {
    let server = lobby_server().settings(&format!("{LIMITS}connections_burst = 1000\nconnections_per_address = 64\n")).start();
    let held: Vec<Peer> = (0..100).map(|_| Dial::new(server.tcp(), Wire::TCP).from(ATTACKER).bare()).collect();
    let mut other = Dial::new(server.tcp(), Wire::TCP).from(Ipv4Addr::new(127, 0, 0, 3)).connect();
    assert!(other.call(lobby::ECHO, b"not me").is_ok());
    let mut told = 0;
    for mut peer in held {
        match peer.call(lobby::ECHO, b"me?") {
            Ok(_) => {}
            Err(Message::Error { code: BUSY, .. } | Message::Closed(_)) => told += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    let stopped = server.stop();
    report!("connections of one address: 100 at once, {} admitted, {told} refused; another address got in", 100 - told);
    assert_eq!((told, counted(&stopped, "address_connections")), (36, 36), "{stopped}");
}

#[test]
fn bytes_above_the_rate_are_read_later_and_hold_up_nobody_else() {
    let server = lobby_server().settings(&format!("{LIMITS}bytes_per_second = \"64KiB\"\nbytes_burst = \"64KiB\"\n")).start();
    let honest = honest(&server);
    let begun = Instant::now();
    let mut sender = Dial::new(server.tcp(), Wire::TCP).from(ATTACKER).connect();
    let body = vec![7; 32 << 10];
    for _ in 0..6 {
        assert!(sender.call(lobby::ECHO, &body).is_ok());
    }
    let took = begun.elapsed();
    let waits = honest.stop();
    let stopped = server.stop();
    report!(
        "bytes above the rate: 192 KiB at 64 KiB/s with a burst of 64 KiB took {:.1} s, {HONEST} others made {} calls, 0 failed, p99 {:.1} ms",
        took.as_secs_f64(),
        waits.count(),
        waits.p99_ms()
    );
    assert!(took >= Duration::from_millis(1_000), "{took:?}");
    assert!(counted(&stopped, "byte_rate") > 0, "{stopped}");
}

#[test]
fn a_flood_from_many_addresses_takes_no_more_than_the_table() {
    let count = sized(3_000, 100_000);
    let server = lobby_server().settings(&format!("{LIMITS}addresses_max = 500\n[gateway]\n{PATIENT}")).start();
    raise_file_limit();
    let mut observer = Peer::connect(server.tcp(), Wire::TCP);
    super::wait_for_connections(&mut observer, 1, super::SOON);
    let honest = honest(&server);
    // The table remembers no more than that; what a connection costs the kernel and the allocator is part of the warm-up.
    once(server.tcp(), 0..1_000);
    let grown = takes_mib(&server, server.rss_bytes(), || once(server.tcp(), 1_000..1_000 + count));
    // Connected at the same time, they find no place in the table.
    let mut held: Vec<Peer> = (0..600).map(|number| Dial::new(server.tcp(), Wire::TCP).from(address(200_000 + number)).bare()).collect();
    let refused = held.iter_mut().map(|peer| peer.call(lobby::ECHO, b"in?")).filter(Result::is_err).count();
    drop(held);
    let waits = honest.stop();
    super::wait_for_connections(&mut observer, 1, super::SOON);
    let newcomer = Dial::new(server.tcp(), Wire::TCP).from(address(300_000)).connect().call(lobby::ECHO, b"now?");
    assert!(newcomer.is_ok(), "{newcomer:?}");
    let stopped = server.stop();
    report!(
        "flood of many addresses: {count} addresses one after the other with a table of 500, 0 refused, memory +{grown:.2} MiB; 600 at once, \
         {refused} refused; {HONEST} others made {} calls, 0 failed, p99 {:.1} ms",
        waits.count(),
        waits.p99_ms()
    );
    assert!(grown < 1.0, "{grown} MiB");
    assert_eq!(refused, 600 + HONEST + 1 - 500, "{stopped}");
    assert_eq!(counted(&stopped, "address_table"), refused as u64, "{stopped}");
}

/// Each address connects, is served and leaves.
fn once(server: SocketAddr, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let mut peer = Dial::new(server, Wire::TCP).from(address(number)).connect();
        assert!(peer.call(lobby::ECHO, b"hello").is_ok(), "address {number}");
    }
}
