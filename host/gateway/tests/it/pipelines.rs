//! Clients that ask without waiting for answers, and what others send to those who do not read.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::pin::pin;
use std::time::Duration;

use duet_codec::Carrier;
use duet_core::{Action, ConnId, Route, Target};
use duet_gateway::{CloseReason, GatewayOptions, Overflow, Refusal, RoutePolicy};

use crate::{Gate, PATIENCE, ended, format, generous, receive, send, wait_until};

/// Queues so small that every answer of a burst waits in them.
fn tight() -> GatewayOptions {
    GatewayOptions { write_queue_packets: 16, write_queue_bytes: 128 << 10, ..generous() }
}

fn push(to: ConnId, body: &[u8]) -> Action<'_> {
    Action::Push { to: Target::Conn(to), route: Route(9), body }
}

/// This many requests with bodies of this size, in one piece.
fn burst(count: i32, body_bytes: usize) -> Vec<u8> {
    let mut packets = Vec::new();
    for seq in 1..=count {
        format().encode(Carrier::Stream, 1, seq, &vec![7; body_bytes], &mut packets).expect("encode");
    }
    packets
}

/// Sends on a thread of its own, so that the client can read all the time.
fn sending(socket: &TcpStream, bytes: Vec<u8>) -> std::thread::JoinHandle<()> {
    let mut socket = socket.try_clone().expect("socket");
    std::thread::spawn(move || socket.write_all(&bytes).expect("all of it is taken"))
}

/// Makes the same call over and over until a client is closed because it does not read. Returns how often.
fn calls_until_closed(gate: &Gate, asking: ConnId, actions: &[Action<'_>]) -> usize {
    let mut calls = 0;
    wait_until("the end", || {
        gate.act(asking, actions);
        calls += 1;
        gate.echo.sessions.stats().closed(CloseReason::SlowReader) == 1
    });
    calls
}

/// Nobody was closed.
fn assert_all_open(gate: &Gate) {
    for reason in [CloseReason::SlowReader, CloseReason::WriteTimeout, CloseReason::PacketTimeout, CloseReason::Lost] {
        assert_eq!(gate.echo.sessions.stats().closed(reason), 0, "{reason:?}");
    }
}

#[test]
fn whoever_reads_may_ask_as_much_at_once_as_it_likes() {
    for (count, body_bytes) in [(300, 10_000), (10_000, 8), (20, 60_000)] {
        let gate = Gate::with(tight(), |_| {});
        let mut clients: Vec<_> = (0..10).map(|_| gate.connect()).collect();
        let senders: Vec<_> = clients.iter().map(|client| sending(client, burst(count, body_bytes))).collect();
        for client in &mut clients {
            for seq in 1..=count {
                assert_eq!(receive(client), (0, 1, seq, vec![7; body_bytes]));
            }
        }
        senders.into_iter().for_each(|sender| sender.join().expect("sent"));
        assert_all_open(&gate);
    }
}

#[test]
fn whoever_does_not_read_is_not_read_until_it_does() {
    let gate = Gate::with(tight(), |_| {});
    let (mut other, _) = gate.client();
    let (mut client, conn) = gate.client();
    // Far more than both sockets and the queue take.
    let count = 20_000;
    let sender = sending(&client, burst(count, 1_000));
    let offered = || gate.echo.state.lock().expect("state").seen.iter().filter(|seen| **seen == conn).count();
    // Once the sockets are full it stands still, while another client is answered many times.
    let mut last = 0;
    wait_until("a stop", || {
        for seq in 1..=500 {
            send(&mut other, 1, seq, b"meanwhile");
            assert_eq!(receive(&mut other).2, seq);
        }
        let now = offered();
        std::mem::replace(&mut last, now) == now
    });
    assert!(last < count as usize, "all requests were taken from a client that does not read");
    for seq in 1..=count {
        assert_eq!(receive(&mut client).2, seq);
    }
    sender.join().expect("sent");
    assert_all_open(&gate);
}

#[test]
fn only_so_many_requests_of_a_client_are_in_flight_and_none_is_forgotten() {
    let gate = Gate::with(tight(), |_| {});
    let (mut client, _) = gate.client();
    for _ in 0..3 {
        gate.echo.state.lock().expect("state").keeps = true;
        client.write_all(&burst(100, 8)).expect("write");
        // As many as may wait in its queue of 16 packets; later ones are parked or not read.
        wait_until("requests", || gate.echo.kept() == 16);
        // Another client is not affected.
        let (mut other, _) = gate_client_while_kept(&gate);
        gate.echo.release();
        for seq in 1..=100 {
            assert_eq!(receive(&mut client).2, seq);
        }
        receive(&mut other);
    }
    assert_all_open(&gate);
}

/// A second client whose request is kept, too.
fn gate_client_while_kept(gate: &Gate) -> (TcpStream, usize) {
    let before = gate.echo.kept();
    let mut other = gate.connect();
    send(&mut other, 1, 1, b"me too");
    wait_until("another request", || gate.echo.kept() > before);
    (other, before)
}

#[test]
fn requests_that_are_lost_with_what_should_have_handled_them_free_their_client() {
    let gate = Gate::with(tight(), |_| {});
    let (mut client, _) = gate.client();
    gate.echo.state.lock().expect("state").keeps = true;
    client.write_all(&burst(100, 8)).expect("write");
    wait_until("requests", || gate.echo.kept() == 16);
    // Nobody answers them.
    gate.echo.state.lock().expect("state").kept.clear();
    wait_until("the next requests", || gate.echo.kept() == 16);
    gate.echo.release();
    for seq in 17..=100 {
        assert_eq!(receive(&mut client).2, seq);
    }
}

#[test]
fn one_call_may_push_four_megabytes_to_a_client_that_reads() {
    let gate = Gate::with(tight(), |_| {});
    let (mut asks, asking) = gate.client();
    let (mut other, conn) = gate.client();
    let body = vec![7; 60_000];
    for _ in 0..3 {
        // To the client that asked, and to another one.
        for (to, client) in [(asking, &mut asks), (conn, &mut other)] {
            let pushes: Vec<_> = (0..68).map(|_| push(to, &body)).collect();
            gate.act(asking, &pushes);
            for _ in 0..68 {
                assert_eq!(receive(client), (0, 9, 0, body.clone()));
            }
        }
        gate.act(asking, &[Action::Broadcast { bound_only: false, route: Route(9), body: &body }; 68]);
        for client in [&mut asks, &mut other] {
            (0..68).for_each(|_| assert_eq!(receive(client).3, body));
        }
    }
    assert_all_open(&gate);
}

#[test]
fn what_follows_a_large_call_closes_nobody_who_reads() {
    let gate = Gate::with(tight(), |_| {});
    let (_, pushing) = gate.client();
    let (mut client, conn) = gate.client();
    let body = vec![7; 60_000];
    for _ in 0..5 {
        // In pieces of one packet each, and as one piece.
        for pushes in [vec![push(conn, &body); 68], vec![push(conn, &body), Action::Unsubscribe(Target::Conn(conn), ""), push(conn, &body)]]
        {
            gate.act(pushing, &pushes);
            (0..10).for_each(|_| gate.act(pushing, &[push(conn, b"and this")]));
            for _ in pushes.iter().filter(|action| matches!(action, Action::Push { .. })) {
                assert_eq!(receive(&mut client).3, body);
            }
            (0..10).for_each(|_| assert_eq!(receive(&mut client).3, b"and this"));
        }
        gate.act(pushing, &[Action::Broadcast { bound_only: false, route: Route(9), body: &body }; 68]);
        gate.act(pushing, &[push(conn, b"and this")]);
        (0..68).for_each(|_| assert_eq!(receive(&mut client).3, body));
        assert_eq!(receive(&mut client).3, b"and this");
        // Only the first client does not read; it may be closed.
        assert!(gate.echo.sessions.stats().closed(CloseReason::SlowReader) <= 1);
    }
}

#[test]
fn a_client_that_does_not_read_is_sent_one_large_call_and_no_more() {
    let gate = Gate::with(tight(), |_| {});
    let (_, pushing) = gate.client();
    let (_reads_nothing, conn) = gate.client();
    let calls = calls_until_closed(&gate, pushing, &vec![push(conn, &[7; 60_000]); 68]);
    // The sockets may take the first.
    assert!(calls <= 4, "{calls} calls of 4 MB");
}

#[test]
fn a_client_whose_queue_is_full_of_what_may_be_dropped_is_still_read() {
    let policy = RoutePolicy { overflow: Overflow::DropNewest, ..RoutePolicy::default() };
    let gate = Gate::with(GatewayOptions { routes: HashMap::from([(Route(9), policy)]), ..tight() }, |_| {});
    let (_, pushing) = gate.client();
    let (mut client, conn) = gate.client();
    let body = vec![7; 10_000];
    let dropped = || gate.echo.sessions.stats().refused(Refusal::Overflow);
    wait_until("a full queue", || {
        gate.act(pushing, &[push(conn, &body)]);
        dropped() > 100
    });
    // It has read nothing, and asks for something.
    let before = gate.echo.state.lock().expect("state").seen.len();
    send(&mut client, 1, 5, b"no more, please");
    gate.echo.wait("the request", |state| (state.seen.len() > before).then_some(()));
    while receive(&mut client).2 != 5 {}
    assert_all_open(&gate);
}

#[test]
fn what_others_push_to_a_client_that_does_not_read_closes_it_whatever_it_asked_for() {
    let gate = Gate::with(tight(), |_| {});
    let (_, pushing) = gate.client();
    let (_reads_nothing, conn) = gate.client();
    // Until the sockets are full and the queue of 128 KiB as well.
    let calls = calls_until_closed(&gate, pushing, &[push(conn, &[7; 60_000])]);
    assert!(calls < 1_000, "{calls} calls");
}

#[test]
fn a_client_that_pushes_to_itself_and_does_not_read_is_bounded_too() {
    let gate = Gate::with(tight(), |_| {});
    let (_reads_nothing, conn) = gate.client();
    let calls = calls_until_closed(&gate, conn, &[push(conn, &[7; 60_000])]);
    // 64 x 128 KiB are 140 of them; the rest is in the sockets.
    assert!((140..1_000).contains(&calls), "{calls} calls");
}

#[test]
fn a_client_that_takes_little_is_not_closed_and_one_that_takes_nothing_is() {
    let gate = Gate::with(tight(), |listener| listener.timeouts.write = Duration::from_millis(500));
    let (mut client, _) = gate.client();
    let sender = {
        let mut socket = client.try_clone().expect("socket");
        std::thread::spawn(move || drop(socket.write_all(&burst(1_000, 10_000))))
    };
    // Longer than the deadline with the queue never empty: 10 MB at some 400 KB/s.
    let mut seq = 0;
    for _ in 0..20 {
        for _ in 0..8 {
            seq += 1;
            assert_eq!(receive(&mut client).2, seq);
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert_all_open(&gate);
    gate.echo.wait_for("disconnect 1 write_timeout");
    drop(client.shutdown(Shutdown::Both));
    sender.join().expect("a thread");
}

#[test]
fn a_draining_gate_waits_for_what_was_taken_and_not_for_those_who_do_not_read() {
    let mut gate = Gate::with(tight(), |_| {});
    let (mut client, _) = gate.client();
    let (stuck, _) = gate.client();
    let _sender = {
        let mut socket = stuck.try_clone().expect("socket");
        std::thread::spawn(move || drop(socket.write_all(&burst(20_000, 1_000))))
    };
    gate.echo.state.lock().expect("state").keeps = true;
    client.write_all(&burst(40, 8)).expect("write");
    wait_until("requests", || gate.echo.kept() >= 16);
    let gateway = gate.gateway.take().expect("open");
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| gate.runtime.block_on(gateway.drain(PATIENCE * 2)));
        gate.echo.release();
        for seq in 1..=40 {
            assert_eq!(receive(&mut client).2, seq, "what was read before is answered by the plugin");
        }
        assert_eq!(receive(&mut client).1, 0, "then comes the farewell");
        assert!(ended(&mut client));
        drop(client);
        drop(stuck.shutdown(Shutdown::Both));
        assert_eq!(drain.join().expect("a thread"), 0, "nobody is cut off at the end of its time");
    });
}

#[test]
fn a_gate_that_stood_still_while_it_drained_still_answers_what_it_has_taken() {
    let mut gate = Gate::open();
    let (mut client, _) = gate.client();
    gate.echo.state.lock().expect("state").keeps = true;
    send(&mut client, 1, 5, b"kept");
    wait_until("the request", || gate.echo.kept() == 1);
    let gateway = gate.gateway.take().expect("open");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            gate.runtime.block_on(async {
                let mut drain = pin!(gateway.drain(Duration::from_millis(100)));
                assert!(tokio::time::timeout(Duration::from_millis(10), drain.as_mut()).await.is_err(), "it waits");
                // As a stopped process does.
                std::thread::park_timeout(Duration::from_millis(700));
                assert!(tokio::time::timeout(Duration::from_millis(50), drain.as_mut()).await.is_err(), "it waits once more");
                gate.echo.release();
                drain.await;
            });
        });
        assert_eq!(receive(&mut client), (0, 1, 5, b"kept".to_vec()));
        assert_eq!(receive(&mut client).1, 0, "then comes the farewell");
        assert!(ended(&mut client));
        drop(client);
    });
}
