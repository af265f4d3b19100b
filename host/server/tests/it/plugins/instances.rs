//! Several instances of a plugin: one connection stays with one of them, and in order.

use std::collections::HashMap;

use duet_testkit::{Message, Peer, Server, Wire, guest};

const COUNT: i16 = 112;
const CONNECTIONS: usize = 16;
const CALLS: usize = 50;

/// What the counter said to each connection.
fn counts(settings: &str) -> Vec<Vec<usize>> {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet"))
        .plugin("hostile", guest("hostile"))
        .settings(&format!("[runtime]\nworkers = 4\n[plugin.hostile]\n{settings}"))
        .start();
    let mut peers: Vec<Peer> = (0..CONNECTIONS).map(|_| Peer::connect(server.tcp(), Wire::TCP)).collect();
    for peer in &mut peers {
        let wire = peer.wire();
        let packets: Vec<u8> = (1..=CALLS).flat_map(|seq| wire.data(COUNT, i16::try_from(seq).unwrap(), b"")).collect();
        peer.write(&packets);
    }
    let answers = |peer: &mut Peer| (1..=CALLS).map(|seq| answer(peer.next(), seq)).collect();
    peers.iter_mut().map(answers).collect()
}

fn answer(message: Message, expected: usize) -> usize {
    match message {
        Message::Data { route: COUNT, seq, body } => {
            assert_eq!(usize::try_from(seq).unwrap(), expected, "replies come in the order of the requests");
            String::from_utf8(body).unwrap().parse().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// How many instances said this often that it was their first call.
fn instances(counts: &[Vec<usize>]) -> usize {
    let mut said: HashMap<usize, usize> = HashMap::new();
    for count in counts.iter().flatten() {
        *said.entry(*count).or_default() += 1;
    }
    assert_eq!(said.values().sum::<usize>(), CONNECTIONS * CALLS);
    // An instance that said 7 has said 6 before.
    assert!((2..=CONNECTIONS * CALLS).all(|n| said.get(&n).unwrap_or(&0) <= said.get(&(n - 1)).unwrap_or(&0)));
    said[&1]
}

#[test]
fn one_connection_stays_with_one_instance_and_in_order() {
    for (settings, expected) in
        [("", 1), ("instances = \"workers\"\n", 4), ("instances = 3\n", 3), ("instances = 7\naffinity = \"uid\"\n", 7)]
    {
        let counts = counts(settings);
        for of_connection in &counts {
            assert!(of_connection.is_sorted_by(|a, b| a < b), "one instance counts up: {of_connection:?}");
        }
        let used = instances(&counts);
        assert!((expected.min(2)..=expected).contains(&used), "{used} of {expected} instances were used");
        let name = if settings.is_empty() { "default" } else { settings.lines().next().unwrap() };
        eprintln!("instances: {name}: 16 connections x 50 pipelined calls in order, {used} of {expected} instances used");
    }
}

#[test]
fn without_affinity_every_instance_takes_part() {
    let used = instances(&counts("instances = 4\naffinity = \"any\"\n"));
    eprintln!("instances: affinity any: 800 calls, {used} of 4 instances used");
    assert_eq!(used, 4);
}
