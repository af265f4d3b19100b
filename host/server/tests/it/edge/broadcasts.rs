//! Messages to everybody, of whom some do not read.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use duet_testkit::suite::sized;
use duet_testkit::{Dial, Honest, Message, Peer, Server, Waits, Wire, report};
use serde_json::Value;

use super::{MIB, PATIENT, SOON, ask, baseline, beside, connections, counted, lobby, lobby_server};

/// Clients that read nothing.
const READERS: usize = 100;
const HONEST: usize = 10;
/// One message to everybody.
const TEXT_BYTES: usize = 16 << 10;
/// The write queue of a connection.
const QUEUE: &str = "write_queue_bytes = \"1MiB\"\n";
/// Keeps what the kernel takes for a client small beside its write queue.
const RECEIVE_BYTES: usize = 4 << 10;

fn wires(server: &Server) -> [(SocketAddr, Wire); 2] {
    [(server.tcp(), Wire::TCP), (server.ws(), Wire::WS)]
}

/// Clients that have shown that they are there, and read nothing from now on.
fn readers(server: &Server, count: usize) -> Vec<Peer> {
    let reader = |number: usize| {
        let (address, wire) = wires(server)[number % 2];
        let mut peer = Dial::new(address, wire).receive_bytes(RECEIVE_BYTES).connect();
        assert!(peer.call(lobby::ECHO, b"in").is_ok());
        peer
    };
    (0..count).map(reader).collect()
}

fn honest(server: &Server) -> Honest {
    let wires = wires(server);
    let mut number = 0;
    Honest::start(HONEST, || {
        number += 1;
        let (address, wire) = wires[number % 2];
        let mut peer = Peer::connect(address, wire);
        Box::new(move || assert_eq!(peer.call(lobby::ECHO, b"honest"), Ok(b"honest".to_vec())))
    })
}

fn text(number: usize) -> String {
    format!("{number:08} {}", "x".repeat(TEXT_BYTES - 9))
}

fn broadcast(publisher: &mut Peer, number: usize) {
    ask(publisher, lobby::BROADCAST, &format!(r#"{{"text":"{}"}}"#, text(number)));
}

/// The number of a message that was broadcast or published.
fn number(body: &[u8]) -> usize {
    let message: Value = serde_json::from_slice(body).expect("json");
    message["text"].as_str().and_then(|text| text.get(..8)?.parse().ok()).expect("a number")
}

/// What came of an attack.
struct Outcome {
    waits: (Waits, Waits),
    broadcasts: usize,
    grown: f64,
    took: Duration,
}

/// Readers at 0 B/s, honest clients and a publisher, until the readers are gone. `broadcasts_max` are sent at most.
fn attack(server: &Server, broadcasts_max: usize) -> Outcome {
    let before = baseline(|| honest(server));
    let mut publisher = Peer::connect(server.tcp(), Wire::TCP);
    let slow = readers(server, READERS);
    let honest = honest(server);
    // Warm: the buffers that a message to everybody goes through are there.
    broadcast(&mut publisher, 0);
    let rss = server.rss_bytes();
    let (mut most, mut broadcasts) = (rss, 0);
    let begun = Instant::now();
    while connections(&mut publisher) > 1 + HONEST as u64 {
        assert!(begun.elapsed() < SOON * 2, "{} connections are still there", connections(&mut publisher));
        if broadcasts < broadcasts_max {
            broadcasts += 1;
            broadcast(&mut publisher, broadcasts);
        } else {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        most = most.max(server.rss_bytes());
    }
    let took = begun.elapsed();
    let waits = (before, honest.stop());
    drop(slow);
    Outcome { waits, broadcasts, grown: (most - rss) as f64 / MIB, took }
}

#[test]
fn a_hundred_clients_that_do_not_read_broadcasts_are_closed_at_the_limit_of_their_queue() {
    let server = lobby_server().settings(&format!("[gateway]\nconnections_max = 1000\n{QUEUE}")).start();
    let Outcome { waits, broadcasts, grown, .. } = attack(&server, 10_000);
    report!(
        "slow readers, queue limit: {READERS} at 0 B/s, {READERS} closed after {broadcasts} broadcasts of 16 KiB, memory +{grown:.1} MiB \
         (queues: {READERS} MiB); {HONEST} others made {}",
        beside(&waits.0, &waits.1)
    );
    assert!(grown <= READERS as f64, "{grown} MiB");
    let line = server.wait_for_log("closed as slow_reader", Duration::ZERO);
    assert!(line.contains("1048576 bytes waited for it (gateway.write_queue_bytes)"), "{line}");
    let stopped = server.stop();
    assert_eq!(server.log().matches("closed as slow_reader").count(), READERS);
    assert_eq!(counted(&stopped, "slow_reader"), READERS as u64);
}

#[test]
fn a_hundred_clients_that_do_not_read_broadcasts_are_closed_at_the_write_deadline() {
    let deadline = Duration::from_secs(sized(1, 10) as u64);
    // Whoever does not read does not write either: only the write deadline may end them.
    let settings = format!("[gateway]\nwrite_timeout = \"{deadline:?}\"\nwrite_queue_bytes = \"64MiB\"\n{PATIENT}");
    let server = lobby_server().settings(&settings).start();
    // Much more than their sockets take.
    let Outcome { waits, broadcasts, grown, took } = attack(&server, 200);
    report!(
        "slow readers, write deadline {} s: {READERS} at 0 B/s, {READERS} closed {:.2} s after the first of {broadcasts} broadcasts of 16 KiB, \
         memory +{grown:.1} MiB; {HONEST} others made {}",
        deadline.as_secs(),
        took.as_secs_f64(),
        beside(&waits.0, &waits.1)
    );
    assert!(took >= deadline, "{took:?}");
    assert_eq!(counted(&server.stop(), "write_timeout"), READERS as u64);
}

#[test]
fn clients_that_do_not_read_keep_their_connection_and_get_the_newest_state_if_the_settings_say_so() {
    let settings = format!(
        "[gateway]\n{QUEUE}write_timeout = \"5m\"\nheartbeat_interval = \"5m\"\n\
         [[route]]\nroute = {}\noverflow = \"keep-latest\"\n[[channel]]\nprefix = \"world.\"\noverflow = \"drop-newest\"\n",
        lobby::BROADCASTED
    );
    let server = lobby_server().settings(&settings).start();
    let mut publisher = Peer::connect(server.tcp(), Wire::TCP);
    let sent = sized(500, 5_000);
    for (name, members) in [("keep-latest", None), ("drop-newest", Some("world.a"))] {
        let mut slow = readers(&server, 20);
        for peer in slow.iter_mut().filter(|_| members.is_some()) {
            ask(peer, lobby::JOIN, r#"{"channel":"world.a"}"#);
        }
        let mut send = |number| match members {
            None => broadcast(&mut publisher, number),
            Some(channel) => {
                let body = format!(r#"{{"channel":"{channel}","text":"{}"}}"#, text(number));
                ask(&mut publisher, lobby::PUBLISH, &body);
            }
        };
        send(0);
        let (rss, begun) = (server.rss_bytes(), Instant::now());
        let mut most = rss;
        for number in 1..=sent {
            send(number);
            most = most.max(server.rss_bytes());
        }
        let (grown, took) = ((most - rss) as f64 / MIB, begun.elapsed());
        // All that were kept, and then one that is new to a client that reads again.
        let mut received = Vec::new();
        for peer in &mut slow {
            let mut numbers = vec![];
            peer.send_data(lobby::ECHO, 9, b"still here");
            loop {
                match peer.next() {
                    Message::Data { seq: 0, body, .. } => numbers.push(number(&body)),
                    Message::Data { seq: 9, body, .. } => break assert_eq!(body, b"still here"),
                    other => panic!("{name}: {other:?} after {} messages", numbers.len()),
                }
            }
            assert!(numbers.is_sorted_by(|a, b| a < b), "{name}: out of order: {numbers:?}");
            received.push(numbers);
        }
        for numbers in &received {
            let is_newest = numbers.last() == Some(&sent);
            let is_beginning = numbers.iter().copied().eq(0..numbers.len());
            assert!(if members.is_none() { is_newest } else { is_beginning && !is_newest }, "{name}: {numbers:?}");
        }
        send(sent + 1);
        for peer in &mut slow {
            let Message::Data { seq: 0, route, body } = peer.next() else { panic!("{name}: no newest state") };
            let expected = if members.is_none() { lobby::BROADCASTED } else { lobby::PUBLISHED };
            assert_eq!((route, number(&body)), (expected, sent + 1), "{name}");
        }
        let least = received.iter().map(Vec::len).min().unwrap_or_default();
        let most_received = received.iter().map(Vec::len).max().unwrap_or_default();
        report!(
            "slow readers, {name}: 20 at 0 B/s, {sent} messages of 16 KiB to each within {:.1} s, 0 closed, memory +{grown:.1} MiB; then they \
             read {least} to {most_received}, each ended with the newest state",
            took.as_secs_f64()
        );
        assert!(grown <= 20.0, "{name}: {grown} MiB");
    }
    let stopped = server.stop();
    assert_eq!((counted(&stopped, "slow_reader"), counted(&stopped, "write_timeout")), (0, 0), "{stopped}");
    assert!(counted(&stopped, "overflow") > 0, "{stopped}");
}
