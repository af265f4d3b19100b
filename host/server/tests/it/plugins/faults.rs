//! Faults: who is told, what is lost, and when a plugin is out of service.

use std::time::{Duration, Instant};

use duet_testkit::{Message, Peer, Server, Wire, guest};

use super::isolation::{shown, victim};
use super::{PLUGIN_FAULT, TIMEOUT, UNAVAILABLE};

fn hostile(settings: &str) -> Server {
    Server::builder(env!("CARGO_BIN_EXE_duet"))
        .plugin("echo", guest("echo"))
        .plugin("hostile", guest("hostile"))
        .settings(&format!("[plugin.hostile]\n{settings}"))
        .start()
}

fn code(answer: &Result<Vec<u8>, Message>) -> Option<u16> {
    match answer {
        Err(Message::Error { code, .. }) => Some(*code),
        _ => None,
    }
}

/// Sends all of them with one write and returns as many messages.
fn pipelined(peer: &mut Peer, requests: &[(i16, &[u8])], answers: usize) -> Vec<Message> {
    let wire = peer.wire();
    let packets: Vec<u8> = requests.iter().zip(1..).flat_map(|((route, body), seq)| wire.data(*route, seq, body)).collect();
    peer.write(&packets);
    (0..answers).map(|_| peer.next()).collect()
}

#[test]
fn a_bad_request_among_pipelined_ones_fails_alone_and_all_are_answered_in_order() {
    let server = hostile("faults_max = 1000\ncall_budget = \"5s\"\n");
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    let mut faults = 0;
    for round in 0..50_usize {
        // Calls that go well make the next batch larger.
        for _ in 0..6 {
            peer.call(111, b"").unwrap();
        }
        let bad = |at: usize| at == round % 20 || at == (round * 7 + 3) % 20 || (round % 3 == 0 && at == 19);
        let requests: Vec<(i16, &[u8])> = (0..20).map(|at| (113, if bad(at) { b"bad".as_slice() } else { b"" })).collect();
        for (at, answer) in pipelined(&mut peer, &requests, 20).into_iter().enumerate() {
            let seq = i16::try_from(at).unwrap() + 1;
            if bad(at) {
                faults += 1;
                assert!(matches!(answer, Message::Error { route: 113, code: PLUGIN_FAULT, seq: s, .. } if s == seq), "{at}: {answer:?}");
            } else {
                assert_eq!(answer, Message::Data { route: 113, seq, body: b"good".to_vec() }, "round {round}, {at}");
            }
        }
    }
    eprintln!("batch: 50 x 20 pipelined requests, {faults} bad ones answered plugin fault, {} replies, all in order", 1000 - faults);
}

#[test]
fn a_panic_is_one_line_that_says_where_and_why() {
    let server = hostile("faults_max = 1000\n");
    assert_eq!(code(&Peer::connect(server.tcp(), Wire::TCP).call(100, b"")), Some(PLUGIN_FAULT));
    let line = server.wait_for_log("trapped on purpose", Duration::from_secs(10));
    let place = "panicked at host/testkit/fixtures/hostile/src/traps.rs:10:5: trapped on purpose";
    assert!(line.contains("ERROR") && line.contains(place), "{line}");
    for noise in ["thread '", "RUST_BACKTRACE"] {
        assert!(!server.log().contains(noise), "{}", server.log());
    }
}

#[test]
fn a_trap_loses_the_memory_of_the_instance_and_the_log_says_so() {
    let server = hostile("faults_max = 1000\n");
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    for _ in 0..3 {
        for count in ["1", "2", "3"] {
            assert_eq!(peer.call(112, b"").as_deref(), Ok(count.as_bytes()));
        }
        assert_eq!(code(&peer.call(100, b"\x01\xff")), Some(PLUGIN_FAULT));
    }
    let line = server.wait_for_log("plugin fault", Duration::from_secs(20));
    for text in ["WARN", "`unreachable`", "plugin=hostile", "version=", "route=100", "body=\"01ff\""] {
        assert!(line.contains(text), "{text} is not in {line}");
    }
    let (_, told) = line.split_once("plugin fault: ").unwrap();
    let (cause, frames) = told.split_once("; at ").unwrap();
    assert!(cause.contains("trapped on purpose (wasm trap"), "the panic is the cause and comes first: {line}");
    let frames: Vec<&str> = frames.split(" plugin=").next().unwrap().split(", called by ").collect();
    assert!(frames.len() <= 3 && frames.iter().all(|f| !f.starts_with("std") && !f.starts_with("core")), "{frames:?}");
    eprintln!("trap: the counter began anew after each of 3; the log: {line}");
}

#[test]
fn the_pushes_of_a_call_that_traps_or_loops_are_never_delivered() {
    let server = hostile("faults_max = 1000\n");
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    for round in 0..5 {
        let requests: [(i16, &[u8]); 5] = [(114, b"one"), (114, b"trap"), (114, b"two"), (114, b"loop"), (114, b"three")];
        let mut seen = Vec::new();
        for message in pipelined(&mut peer, &requests, 8) {
            seen.push(match message {
                Message::Data { route: 1, seq: 0, body } => String::from_utf8(body).unwrap(),
                Message::Data { route: 114, seq, body } => format!("{seq} {}", String::from_utf8(body).unwrap()),
                Message::Error { route: 114, seq, code, .. } => format!("{seq} code {code}"),
                other => panic!("{other:?}"),
            });
        }
        let (trap, timeout) = (format!("2 code {PLUGIN_FAULT}"), format!("4 code {TIMEOUT}"));
        assert_eq!(seen, ["one", "1 pushed", &trap, "two", "3 pushed", &timeout, "three", "5 pushed"], "round {round}");
    }
    assert_eq!(peer.call(111, b"last").as_deref(), Ok(b"last".as_slice()));
    eprintln!("effects: 5 x (trap and loop behind a push): none of the 10 pushes came, the 15 others came once");
}

#[test]
fn a_plugin_with_too_many_faults_is_unavailable_for_a_while_that_doubles() {
    let server = hostile("faults_max = 3\nfaults_window = \"30s\"\nquarantine = \"500ms\"\n");
    let victim = victim(&server);
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    let mut outages = Vec::new();
    for (round, time) in ["500ms", "1s", "2s"].into_iter().enumerate() {
        for _ in 0..3 {
            assert_eq!(code(&peer.call(100, b"")), Some(PLUGIN_FAULT), "round {round}");
        }
        let begun = Instant::now();
        let mut refused = 0;
        loop {
            match peer.call(111, b"back") {
                Ok(body) => break assert_eq!(body, b"back"),
                answer => assert_eq!(code(&answer), Some(UNAVAILABLE), "{answer:?}"),
            }
            refused += 1;
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not come back");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        server.wait_for_log(&format!("out of service for {time}"), Duration::from_secs(20));
        outages.push(format!("{refused} refused in {:.0?}", begun.elapsed()));
    }
    let waits = victim.stop();
    eprintln!("quarantine: 3 times 3 faults, out of service for 500 ms, 1 s and 2 s: {}; {}", outages.join(", "), shown(&waits));
}
