//! Plugins that wait: nobody else waits with them.

use std::time::{Duration, Instant};

use duet_testkit::{Message, Peer, Server, Wire, guest};

use super::{ECHO, TIMEOUT, hello};

const SLEEP: i16 = 120;

fn server(sleeper: &str) -> Server {
    Server::builder(env!("CARGO_BIN_EXE_duet"))
        .plugin("echo", guest("echo"))
        .plugin("hostile", guest("hostile"))
        .plugin("sleeper", guest("sleeper"))
        .settings(&format!("[runtime]\nworkers = 1\n[plugin.sleeper]\n{sleeper}"))
        .start()
}

fn sleepers(server: &Server, count: usize) -> Vec<Peer> {
    (0..count).map(|_| Peer::connect(server.tcp(), Wire::TCP)).collect()
}

fn awake(message: &Message) -> bool {
    matches!(message, Message::Data { route: SLEEP, body, .. } if body == b"awake")
}

#[test]
fn nobody_waits_for_a_plugin_that_sleeps() {
    let server = server("instances = 4\nwait_timeout = \"1m\"\nqueue_timeout = \"1m\"\n");
    let mut sleepers = sleepers(&server, 8);
    for peer in &mut sleepers {
        peer.send_data(SLEEP, 1, b"50000");
    }
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    for _ in 0..200 {
        assert_eq!(peer.call(ECHO, &hello()).as_deref(), Ok(hello().as_slice()));
        assert_eq!(peer.call(111, b"x").as_deref(), Ok(b"x".as_slice()));
    }
    let slept = sleepers.iter_mut().filter_map(|p| p.next_within(Duration::from_millis(1))).count();
    assert_eq!(slept, 0, "somebody is awake: the 400 calls waited for a sleep");
    eprintln!("waiting: 8 sleeps of 50 s, and 400 calls of other plugins meanwhile");
}

#[test]
fn two_instances_sleep_at_the_same_time_and_one_sleeps_in_order() {
    let server = server("instances = 2\nwait_timeout = \"1m\"\nqueue_timeout = \"1m\"\n");
    let mut sleepers = sleepers(&server, 8);
    let (first, others) = sleepers.split_first_mut().unwrap();
    first.send_data(SLEEP, 1, b"2000");
    first.send_data(SLEEP, 2, b"1");
    // Each has a socket of its own, and the long sleep has to begin before the others.
    std::thread::park_timeout(Duration::from_millis(300));
    for peer in others.iter_mut() {
        peer.send_data(SLEEP, 1, b"1");
    }
    // Those that belong to the other instance do not wait for the first.
    let long = Message::Data { route: SLEEP, seq: 1, body: b"awake".to_vec() };
    let mut waiting: Vec<&mut Peer> = others.iter_mut().collect();
    let mut overtook = 0;
    let woken = loop {
        let awoke = waiting.len();
        waiting.retain_mut(|p| !p.next_within(Duration::from_millis(1)).is_some_and(|message| awake(&message)));
        // Answers that come with the long one, or after it, are not counted.
        if let Some(woken) = first.next_within(Duration::from_millis(1)) {
            break woken;
        }
        overtook += awoke - waiting.len();
    };
    assert_eq!(woken, long);
    assert!((1..7).contains(&overtook), "{overtook} of 7 overtook");
    assert_eq!(first.next(), Message::Data { route: SLEEP, seq: 2, body: b"awake".to_vec() });
    for peer in waiting {
        let answer = peer.next();
        assert!(awake(&answer), "{answer:?}");
    }
    eprintln!("waiting: 2 instances: {overtook} of 7 short sleeps overtook a long one, the others came behind it");
}

#[test]
fn a_call_that_waits_too_long_is_a_timeout_and_the_plugin_goes_on() {
    let server = server("wait_timeout = \"200ms\"\nfaults_max = 100\n");
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    let mut worst = Duration::ZERO;
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = peer.call(SLEEP, b"60000");
        assert!(matches!(answer, Err(Message::Error { code: TIMEOUT, .. })), "{answer:?}");
        worst = worst.max(begun.elapsed());
        assert_eq!(peer.call(SLEEP, b"1").as_deref(), Ok(b"awake".as_slice()));
    }
    eprintln!("waiting: 3 sleeps of 60 s ended by a wait_timeout of 200 ms after {worst:.0?} at the latest");
}

#[test]
fn what_waited_for_a_plugin_while_the_server_was_stopped_is_not_too_late() {
    let server = server("queue_timeout = \"2s\"\n");
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    let wire = peer.wire();
    let packets = [wire.data(SLEEP, 1, b"1000"), wire.data(SLEEP, 2, b"1"), wire.data(ECHO, 3, &hello())].concat();
    peer.write(&packets);
    assert!(matches!(peer.next(), Message::Data { route: ECHO, .. }), "so the others are in the queue");
    server.freeze();
    std::thread::park_timeout(Duration::from_secs(4));
    server.thaw();
    for _ in 0..2 {
        let answer = peer.next();
        assert!(awake(&answer), "{answer:?}");
    }
}

#[test]
fn naps_are_not_billed_as_running() {
    let server = server("call_budget = \"50ms\"\nfaults_max = 1\n");
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    assert_eq!(peer.call(SLEEP, b"12x10").as_deref(), Ok(b"awake".as_slice()));
    eprintln!("waiting: 12 naps of 10 ms with a call_budget of 50 ms");
}
