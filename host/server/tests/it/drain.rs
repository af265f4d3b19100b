//! Stopping a server that has clients.

use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use duet_testkit::{Carrier, Message, Peer, Server, Wire, guest};

use crate::plugins::SINGLE;
use crate::{ECHO, echo_server};

/// Waits as many milliseconds as its body says, then replies `awake`.
const SLEEP: i16 = 120;
/// Works for 20 ms, then replies `done`.
const BUSY: i16 = 110;
const GOING_AWAY: u16 = 10;
/// Longer than anything takes that has no deadline of its own, however busy the machine is.
const SOON: Duration = Duration::from_secs(30);
/// A drain that is cut off.
const DRAIN: Duration = Duration::from_millis(500);
/// Calls of 20 ms each that wait: 8 s of work.
const CALLS: i16 = 400;

/// What one client saw from SIGTERM to the end of its connection.
#[derive(Debug, Default)]
struct Seen {
    replies: usize,
    refused: usize,
    farewells: usize,
    unanswered: usize,
}

#[test]
fn a_stopping_server_answers_what_is_in_flight_and_says_good_bye() {
    let server = echo_server()
        .plugin("sleeper", guest("sleeper"))
        .file("sleeper.toml", "instances = 2\n")
        .settings("drain_timeout = \"60s\"\n")
        .start();
    let wires = [(server.tcp(), Wire::TCP), (server.ws(), Wire::WS)];
    let inside = Arc::new(Barrier::new(21));
    let calling: Vec<_> = (0..20)
        .map(|number| {
            let ((address, wire), inside) = (wires[number % 2], Arc::clone(&inside));
            std::thread::spawn(move || {
                let mut peer = Peer::connect(address, wire);
                assert!(peer.call(ECHO, b"in").is_ok());
                inside.wait();
                call_until_the_end(peer)
            })
        })
        .collect();
    inside.wait();
    // In flight for sure when the signal comes: they sleep longer than the signal takes.
    let mut sleeping: Vec<Peer> = wires.iter().map(|(address, wire)| Peer::connect(*address, *wire)).collect();
    for peer in &mut sleeping {
        assert!(peer.call(ECHO, b"in").is_ok());
        peer.send_data(SLEEP, 77, b"400");
        // Handled in the order of arrival: when this is answered, the other is in the plugin's queue.
        assert!(peer.call(ECHO, b"behind it").is_ok());
    }

    let begun = Instant::now();
    server.send_terminate();
    server.wait_for_log("stopping", SOON);
    let (mut refused, mut attempts) = (0, 0);
    // The line is written before the listeners are closed.
    while refused < 20 {
        attempts += 1;
        assert!(attempts < 5_000, "new connections are still accepted");
        refused += wires.iter().filter(|(address, _)| TcpStream::connect(address).is_err()).count();
    }
    for peer in &mut sleeping {
        assert_eq!(peer.next(), Message::Data { route: SLEEP, seq: 77, body: b"awake".to_vec() }, "{}", peer.wire().name());
        assert_farewell(peer);
    }
    let status = server.wait_for_exit(SOON);
    let took = begun.elapsed();
    assert!(status.success(), "{status}");
    assert!(!was_cut_off(&server), "{}", server.log());

    let seen = calling.into_iter().map(|c| c.join().unwrap()).fold(Seen::default(), |all, one| Seen {
        replies: all.replies + one.replies,
        refused: all.refused + one.refused,
        farewells: all.farewells + one.farewells,
        unanswered: all.unanswered + one.unanswered,
    });
    assert_eq!(seen.farewells, 20, "{seen:?}");
    eprintln!(
        "drain: 20 clients calling and 2 asleep for 400 ms, {} replies, {} refused as going away, {} sent after the good-bye; 22 good-byes, \
         new connections refused, exit 0 after {:.2} s",
        seen.replies,
        seen.refused,
        seen.unanswered,
        took.as_secs_f64()
    );
}

#[test]
fn a_second_signal_ends_a_server_with_calls_in_its_queues_at_once() {
    let server = echo_server().settings("drain_timeout = \"60s\"\n").start();
    let mut peer = queue_work(&server);
    second_signal(&server, "8 s of calls queued");
    assert_few_answers(&mut peer);
}

#[test]
fn a_second_signal_ends_a_server_with_a_call_that_waits_at_once() {
    let server = sleeping_server("drain_timeout = \"60s\"\n");
    let mut peer = begin_to_sleep(&server);
    second_signal(&server, "a call of 20 s waiting");
    assert_eq!(answers(&mut peer), 0);
}

#[test]
fn calls_in_the_queues_are_cut_off_at_the_drain_timeout() {
    let server = echo_server().settings(&format!("drain_timeout = \"{DRAIN:?}\"\n")).start();
    let mut peer = queue_work(&server);
    drain_timeout(&server, "8 s of calls queued");
    assert_few_answers(&mut peer);
}

#[test]
fn a_call_that_waits_is_cut_off_at_the_drain_timeout() {
    let server = sleeping_server(&format!("drain_timeout = \"{DRAIN:?}\"\n"));
    let mut peer = begin_to_sleep(&server);
    drain_timeout(&server, "a call of 20 s waiting");
    assert_eq!(answers(&mut peer), 0);
}

/// 40 instances that end only after a second of processor time each, one after the other. So whoever waits for them waits for 40 s at
/// least, and an end within [`SOON`] is one that did not wait.
fn unstoppable_server(settings: &str) -> Server {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("single", SINGLE);
    let server = server.file("single.toml", "instances = 40\n[config]\nstop = \"loop\"\n");
    server.settings(&format!("{settings}[runtime]\nworkers = 1\n")).start()
}

#[test]
fn a_second_signal_ends_a_server_whose_plugins_do_not_stop_at_once() {
    second_signal(&unstoppable_server("drain_timeout = \"60s\"\n"), "40 s of `stop`");
}

#[test]
fn a_second_signal_in_the_middle_of_stop_ends_a_server_at_once() {
    let server = unstoppable_server("drain_timeout = \"10m\"\n");
    server.send_terminate();
    // The first of 40 is done, and the next one loops.
    // A second of processor time is much longer on a busy machine.
    server.wait_for_log("`stop` ran longer than 1 s", Duration::from_secs(120));
    assert!(server.is_alive(), "39 s of `stop` are left");
    let begun = Instant::now();
    server.send_terminate();
    let status = server.wait_for_exit(SOON);
    let took = begun.elapsed();
    assert!(status.success() && was_cut_off(&server), "{status}, {}", server.log());
    eprintln!("second signal in the middle of `stop`: ended after {:.3} s, {status}", took.as_secs_f64());
}

#[test]
fn plugins_that_do_not_stop_are_cut_off_at_the_drain_timeout() {
    let server = unstoppable_server("");
    let (status, took) = server.terminate();
    eprintln!("drain timeout 10 s, 40 s of `stop`: ended after {:.2} s, {status}", took.as_secs_f64());
    // The default. That a `stop` is cut off by a limit of its own is seen above, where there is time for it.
    assert!(status.success() && (Duration::from_secs(10)..SOON).contains(&took), "{status}, {took:?}");
    assert!(was_cut_off(&server), "{}", server.log());
}

#[test]
fn an_instance_that_fails_to_stop_is_told_of_once() {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("single", SINGLE);
    let server = server.file("single.toml", "recycle_calls = 1\n[config]\nstop = \"trap\"\n").start();
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    for _ in 0..3 {
        assert_eq!(peer.call(211, b"on").as_deref(), Ok(b"on".as_slice()));
    }
    drop(peer);
    assert!(server.terminate().0.success());
    let log = server.log();
    assert_eq!(log.matches("instance did not end in good order: `stop` failed: wasm trap").count(), 1, "{log}");
    assert!(log.contains("plugin=single"), "{log}");
}

fn sleeping_server(settings: &str) -> Server {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("sleeper", guest("sleeper"));
    server.file("sleeper.toml", "wait_timeout = \"30s\"\n").settings(settings).start()
}

fn begin_to_sleep(server: &Server) -> Peer {
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    peer.send_data(SLEEP, 1, b"20000");
    // An unknown route is answered by the gate: what came before it was handed over.
    peer.send_data(9_999, 2, b"");
    assert!(matches!(peer.next(), Message::Error { code: 3, .. }));
    peer
}

/// [`CALLS`], of which the first is answered.
fn queue_work(server: &Server) -> Peer {
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    for seq in 1..=CALLS {
        peer.send_data(BUSY, seq, b"");
    }
    assert_eq!(peer.next(), Message::Data { route: BUSY, seq: 1, body: b"done".to_vec() });
    peer
}

/// How many calls are still answered before the connection ends.
fn answers(peer: &mut Peer) -> usize {
    let mut answers = 0;
    loop {
        match peer.next() {
            Message::Data { .. } => answers += 1,
            Message::Closed(_) => return answers,
            Message::Error { .. } | Message::Heartbeat(_) => {}
        }
    }
}

/// What is cut off at once has hardly begun: half of the work takes 4 s, however busy the machine is.
fn assert_few_answers(peer: &mut Peer) {
    let answers = answers(peer);
    assert!(answers < usize::from(CALLS.unsigned_abs()) / 2, "{answers} of {CALLS}");
}

/// Whether a server that has ended did so in the middle of calls.
fn was_cut_off(server: &Server) -> bool {
    server.wait_for_log("stopped accepted=", SOON);
    server.log().contains("stopped in the middle of calls, by drain_timeout or a second signal")
}

fn second_signal(server: &Server, name: &str) {
    server.send_terminate();
    server.wait_for_log("stopping", SOON);
    let begun = Instant::now();
    server.send_terminate();
    let status = server.wait_for_exit(SOON);
    eprintln!("second signal, {name}: ended after {:.3} s, {status}", begun.elapsed().as_secs_f64());
    assert!(was_cut_off(server), "{}", server.log());
}

fn drain_timeout(server: &Server, name: &str) {
    let (status, took) = server.terminate();
    eprintln!("drain timeout {DRAIN:?}, {name}: ended after {:.2} s, {status}", took.as_secs_f64());
    assert!(status.success(), "{status}");
    assert!(took >= DRAIN && was_cut_off(server), "{took:?}, {}", server.log());
}

fn assert_farewell(peer: &mut Peer) {
    let farewell = peer.next();
    let Message::Error { route: 0, seq: 0, code: GOING_AWAY, text } = &farewell else { panic!("{farewell:?}, {}", peer.wire().name()) };
    let retry_after = text.strip_prefix("going away; retry-after-ms=").and_then(|ms| ms.parse::<u32>().ok());
    assert!(retry_after.is_some_and(|ms| ms < 5000), "{text}");
    assert_eq!(peer.next(), Message::Closed((peer.wire().carrier == Carrier::Ws).then_some(1001)), "{}", peer.wire().name());
}

/// Calls without a pause. Every request is answered, until the good-bye.
fn call_until_the_end(mut peer: Peer) -> Seen {
    let wire = peer.wire();
    let mut seen = Seen::default();
    loop {
        match peer.call(ECHO, b"call") {
            Ok(_) => seen.replies += 1,
            Err(Message::Error { route: ECHO, code: GOING_AWAY, .. }) => seen.refused += 1,
            Err(Message::Error { route: 0, seq: 0, code: GOING_AWAY, .. }) => {
                seen.farewells += 1;
                // This request and the good-bye crossed.
                seen.unanswered += 1;
                assert_eq!(peer.closed(), (wire.carrier == Carrier::Ws).then_some(1001));
                return seen;
            }
            Err(other) => panic!("{other:?}, {}", wire.name()),
        }
    }
}
