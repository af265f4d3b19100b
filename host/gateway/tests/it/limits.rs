//! What one client may do.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::time::Duration;

use duet_core::{Action, ErrorCode, Route, Target};
use duet_gateway::{CloseReason, Overflow, Rates, Refusal, RoutePolicy};
use duet_transport::{GuardOptions, Rate};

use crate::{Gate, GatewayOptions, ended, format, generous, receive, receive_error, send, wait_until};

#[test]
fn messages_above_the_rate_are_answered_busy_and_a_flood_ends() {
    let rates = Rates { messages: Rate { per_second: 0.001, burst: 10.0 }, ..generous().rates };
    let gate = Gate::with(GatewayOptions { rates, ..generous() }, |_| {});
    let mut client = gate.connect();
    for seq in 1..=101 {
        send(&mut client, 1, seq, b"x");
    }
    let mut answers = Vec::new();
    for _ in 0..100 {
        answers.push(receive(&mut client).0);
    }
    // Answers of the gate itself may overtake replies, but every message has one.
    assert_eq!(answers.iter().filter(|extcode| **extcode == 0).count(), 10);
    assert_eq!(receive_error(&mut client), (0, 0, ErrorCode::BUSY.0, "busy".to_owned()));
    assert!(ended(&mut client));
    let stats = gate.echo.sessions.stats();
    drop(client);
    wait_until("the end", || stats.closed(CloseReason::Flood) == 1);
    assert_eq!(stats.refused(Refusal::MessageRate), 90);
}

#[test]
fn bytes_above_the_rate_come_later_and_all_of_them() {
    let rates = Rates { bytes: Rate { per_second: 200_000.0, burst: 50_000.0 }, ..generous().rates };
    let gate = Gate::with(GatewayOptions { rates, ..generous() }, |_| {});
    let mut client = gate.connect();
    for seq in 1..=20 {
        send(&mut client, 1, seq, &[7; 8000]);
    }
    for seq in 1..=20 {
        assert_eq!(receive(&mut client), (0, 1, seq, vec![7; 8000]));
    }
    assert!(gate.echo.sessions.stats().refused(Refusal::ByteRate) > 0);
}

#[test]
fn an_address_has_only_so_many_connections_and_others_have_theirs() {
    let guard = GuardOptions { connections_per_address: 3, ..generous().guard };
    let gate = Gate::with(GatewayOptions { guard, ..generous() }, |_| {});
    let held: Vec<_> = (0..3).map(|_| gate.client()).collect();
    let mut more = gate.connect();
    assert_eq!(receive_error(&mut more).2, ErrorCode::BUSY.0);
    assert!(ended(&mut more));
    assert_eq!(gate.echo.sessions.stats().refused(Refusal::AddressConnections), 1);
    drop(held);
    gate.echo.wait("three ends", |state| (state.log.iter().filter(|l| l.starts_with("disconnect")).count() == 3).then_some(()));
    wait_until("the free places", || gate.echo.sessions.stats().open() == 0);
    gate.client();
}

#[test]
fn a_route_may_have_shorter_bodies() {
    let routes = HashMap::from([(Route(1), RoutePolicy { body_bytes_max: Some(10), ..RoutePolicy::default() })]);
    let gate = Gate::with(GatewayOptions { routes, ..generous() }, |_| {});
    let mut client = gate.connect();
    send(&mut client, 1, 1, &[7; 10]);
    send(&mut client, 1, 2, &[7; 11]);
    // An answer of the gate itself may overtake a reply.
    let mut answers = [receive(&mut client), receive(&mut client)];
    answers.sort();
    assert_eq!(answers[0], (0, 1, 1, vec![7; 10]));
    assert_eq!((answers[1].0, answers[1].2, format().decode_error(&answers[1].3)), (1, 2, Some((9, "too large"))));
}

#[test]
fn a_slow_reader_keeps_its_connection_if_the_route_says_so() {
    let policy = |overflow| RoutePolicy { overflow, ..RoutePolicy::default() };
    let routes = HashMap::from([(Route(8), policy(Overflow::DropNewest)), (Route(9), policy(Overflow::KeepLatest))]);
    let gate = Gate::with(GatewayOptions { routes, write_queue_packets: 10, ..generous() }, |_| {});
    for (route, newest) in [(Route(8), false), (Route(9), true)] {
        let (mut client, conn) = gate.client();
        let count = 4000_u32;
        for n in 0..count {
            let body = [n.to_le_bytes().as_slice(), &[0; 4000]].concat();
            gate.act(conn, &[Action::Push { to: Target::Conn(conn), route, body: &body }]);
        }
        let reader = std::thread::spawn(move || {
            let mut numbers = Vec::new();
            loop {
                let (_, got, _, body) = receive(&mut client);
                match u32::from_le_bytes(body[..4].try_into().expect("number")) {
                    u32::MAX => return numbers,
                    number if got == route.0 => numbers.push(number),
                    number => panic!("{number} on route {got}"),
                }
            }
        });
        // The mark of the end may be dropped too, as long as there is no room.
        while !reader.is_finished() {
            gate.act(conn, &[Action::Push { to: Target::Conn(conn), route: Route(8), body: &u32::MAX.to_le_bytes() }]);
            std::thread::yield_now();
        }
        let numbers = reader.join().expect("all read");
        assert!(numbers.is_sorted() && numbers.len() < count as usize, "{} packets", numbers.len());
        assert_eq!(numbers.last() == Some(&(count - 1)), newest, "{:?}", numbers.last());
    }
    assert!(gate.echo.sessions.stats().refused(Refusal::Overflow) > 0);
    assert_eq!(gate.echo.sessions.stats().closed(CloseReason::SlowReader), 0);
}

#[test]
fn whoever_is_not_bound_in_time_has_to_go() {
    let gate = Gate::with(generous(), |listener| listener.timeouts.authorize = Duration::from_millis(300));
    let (mut stays, conn) = gate.client();
    gate.act(conn, &[Action::Bind(conn, duet_core::Uid(9))]);
    let (mut goes, other) = gate.client();
    assert_eq!(receive_error(&mut goes), (0, 0, 4, "not authorized".to_owned()));
    assert!(ended(&mut goes));
    gate.echo.wait_for(&format!("disconnect {other} authorize_timeout"));
    send(&mut stays, 2, 5, b"still here");
    assert_eq!(receive(&mut stays).3, b"still here");
}

#[test]
fn a_broadcast_does_not_wait_for_those_who_do_not_read() {
    let gate = Gate::with(GatewayOptions { write_queue_bytes: 256 << 10, ..generous() }, |_| {});
    let slow: Vec<_> = (0..20).map(|_| gate.client()).collect();
    let (mut client, conn) = gate.client();
    let body = vec![1; 32 << 10];
    for _ in 0..400 {
        gate.act(conn, &[Action::Broadcast { bound_only: false, route: Route(9), body: &body }]);
        assert_eq!(receive(&mut client).3.len(), body.len());
    }
    let closed = gate.echo.wait("ends", |state| {
        let ends = state.log.iter().filter(|l| l.starts_with("disconnect") && l.ends_with("slow_reader")).count();
        (ends == slow.len()).then_some(ends)
    });
    assert_eq!(closed, 20);
    for (mut socket, _) in slow {
        let mut rest = Vec::new();
        drop(socket.read_to_end(&mut rest));
        drop(socket.write(b"x"));
    }
}
