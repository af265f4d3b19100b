//! Events that several plugins want, of which some have no room: each gets each event once.

use std::sync::Arc;
use std::task::Waker;

use duet_core::RequestKind::{Connect, Disconnect};
use duet_core::{Dispatch, Full, Requests};
use duet_runtime::{PluginOptions, RuntimeOptions};

use crate::rig::{Flag, Rig, event, in_one_read, message};
use crate::told::{gated, serve, tell, whats};

/// Two workers, so that one plugin may be busy while the other is not.
fn rig(queue_messages: usize) -> Rig {
    Rig::with(RuntimeOptions { workers: 2, queue_messages, ..RuntimeOptions::default() })
}

/// What was given back.
fn back(result: Result<(), Full>) -> Requests {
    result.map_or_else(|Full(requests)| requests, |()| Requests::default())
}

#[test]
fn what_a_full_plugin_does_not_take_is_given_back_for_it_alone() {
    gated!(ENTERED, OPEN, handler, 1);
    let rig = rig(1);
    serve(&rig, 11, &["connect", "disconnect"], handler, PluginOptions::default());
    serve(&rig, 12, &["connect", "disconnect"], tell::<2>, PluginOptions::default());
    rig.send(in_one_read(&[message(1, 0, 11, 1, b"")]));
    ENTERED.wait_for(1);
    rig.send(in_one_read(&[message(1, 0, 11, 2, b"")]));
    let mixed = [
        event(Connect, 1, 0, "here"),
        message(1, 0, 11, 3, b""),
        message(1, 0, 12, 4, b""),
        message(1, 0, 11, 5, b""),
        event(Disconnect, 1, 0, "silence"),
    ];
    let woken = Arc::<Flag>::default();
    let waker = Waker::from(Arc::clone(&woken));
    let mut left = back(rig.runtime.dispatch(in_one_read(&mixed), &waker));
    for _ in 0..3 {
        let kept: Vec<_> = left.iter().map(|r| (r.kind.name(), r.seq.0, String::from_utf8_lossy(r.body).into_owned())).collect();
        let expected = [("connect", 0, "here"), ("message", 3, ""), ("message", 5, ""), ("disconnect", 0, "silence")];
        assert_eq!(kept, expected.map(|(kind, seq, body)| (kind, seq, body.to_owned())), "for the full one, and in order");
        left = back(rig.runtime.dispatch(left, &waker));
    }
    assert_eq!(woken.raised(), 0);
    OPEN.raise();
    woken.wait_for(1);
    // Four offers waited for room that only one of them can take.
    let mut turns = 1;
    while !left.is_empty() {
        left = back(rig.runtime.dispatch(left, &waker));
        if !left.is_empty() {
            turns += 1;
            woken.wait_for(turns);
        }
    }
    rig.idle();
    let sent = rig.seen.wait_for(0);
    let first = ["message 0 1", "message 0 2", "connect 0 here", "message 0 3", "message 0 5", "disconnect 0 silence"];
    assert_eq!(whats(&sent, 1, 1), first);
    assert_eq!(whats(&sent, 2, 1), ["connect 0 here", "message 0 4", "disconnect 0 silence"]);
    eprintln!("events: offered 5 times to a full plugin, told once to it and once to the other");
}

#[test]
fn an_event_that_was_given_back_is_for_the_same_plugin_when_another_is_gone() {
    gated!(ENTERED, OPEN, handler, 2);
    let rig = rig(1);
    serve(&rig, 11, &[], tell::<1>, PluginOptions::default());
    serve(&rig, 12, &["connect"], handler, PluginOptions::default());
    serve(&rig, 13, &["connect"], tell::<3>, PluginOptions::default());
    rig.send(in_one_read(&[message(1, 0, 12, 1, b"")]));
    ENTERED.wait_for(1);
    rig.send(in_one_read(&[message(1, 0, 12, 2, b"")]));
    let left = back(rig.runtime.dispatch(in_one_read(&[event(Connect, 1, 0, "here")]), Waker::noop()));
    assert_eq!(left.len(), 1);
    rig.runtime.withdraw("plugin-11").unwrap();
    OPEN.raise();
    rig.idle();
    assert!(back(rig.runtime.dispatch(left, Waker::noop())).is_empty());
    rig.idle();
    let sent = rig.seen.wait_for(0);
    assert_eq!(whats(&sent, 2, 1), ["message 0 1", "message 0 2", "connect 0 here"]);
    assert_eq!(whats(&sent, 3, 1), ["connect 0 here"]);
}

#[test]
fn an_event_that_two_full_plugins_want_comes_back_once_for_each() {
    gated!(ENTERED_1, OPEN_1, handler_1, 1);
    gated!(ENTERED_2, OPEN_2, handler_2, 2);
    let rig = rig(1);
    serve(&rig, 11, &["connect"], handler_1, PluginOptions::default());
    serve(&rig, 12, &["connect"], handler_2, PluginOptions::default());
    for seq in [1, 2] {
        rig.send(in_one_read(&[message(1, 0, 11, seq, b""), message(1, 0, 12, seq, b"")]));
        ENTERED_1.wait_for(1);
        ENTERED_2.wait_for(1);
    }
    let left = back(rig.runtime.dispatch(in_one_read(&[event(Connect, 1, 0, "here")]), Waker::noop()));
    assert_eq!(left.len(), 2);
    OPEN_2.raise();
    rig.seen.wait(|sent| whats(sent, 2, 1).len() == 2);
    let left = back(rig.runtime.dispatch(left, Waker::noop()));
    assert_eq!(left.len(), 1, "only the first is still full");
    OPEN_1.raise();
    rig.seen.wait(|sent| whats(sent, 1, 1).len() == 2);
    assert!(back(rig.runtime.dispatch(left, Waker::noop())).is_empty());
    rig.idle();
    let sent = rig.seen.wait_for(0);
    for told_as in [1, 2] {
        assert_eq!(whats(&sent, told_as, 1), ["message 0 1", "message 0 2", "connect 0 here"]);
    }
    eprintln!("events: one event for two full plugins came back twice, and was told once to each");
}

#[test]
fn many_connections_with_small_queues_lose_and_double_no_event() {
    const ROUNDS: i32 = 100;
    let rig = rig(3);
    serve(&rig, 11, &["connect", "disconnect"], tell::<1>, PluginOptions::default());
    serve(&rig, 12, &["connect", "disconnect"], tell::<2>, PluginOptions::default());
    let threads: Vec<_> = (1..9)
        .map(|conn| {
            let runtime = Arc::clone(&rig.runtime);
            std::thread::spawn(move || {
                let mut waits = 0;
                for round in 0..ROUNDS {
                    let number = round.to_string();
                    let mut offer = in_one_read(&[
                        event(Connect, conn, 0, &number),
                        message(conn, 0, 11, round, b""),
                        message(conn, 0, 12, round, b""),
                        event(Disconnect, conn, 0, &number),
                    ]);
                    let woken = Arc::<Flag>::default();
                    let waker = Waker::from(Arc::clone(&woken));
                    let mut tries = 0;
                    while let Err(Full(left)) = runtime.dispatch(offer, &waker) {
                        (offer, tries, waits) = (left, tries + 1, waits + 1);
                        woken.wait_for(tries);
                    }
                }
                waits
            })
        })
        .collect();
    let waits: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    rig.idle();
    let sent = rig.seen.wait_for(0);
    let expected: Vec<String> =
        (0..ROUNDS).flat_map(|n| [format!("connect 0 {n}"), format!("message 0 {n}"), format!("disconnect 0 {n}")]).collect();
    for conn in 1..9 {
        assert_eq!(whats(&sent, 1, conn), expected, "connection {conn}");
        assert_eq!(whats(&sent, 2, conn), expected, "connection {conn}");
    }
    eprintln!("events: 8 connections, 1,600 events for each of 2 plugins through queues of 3, {waits} waits, all told once and in order");
}
