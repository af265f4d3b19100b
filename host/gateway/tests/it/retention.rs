//! What is kept for clients that may come back, and how much.

use std::collections::HashMap;
use std::net::TcpStream;

use duet_core::{Action, ConnId, Route, Target, Uid};
use duet_gateway::{Overflow, Refusal, RoutePolicy};

use crate::sessions::{SESSION, logged_in, numbers, push, resume, resume_on, token, told};
use crate::{Gate, GatewayOptions, generous, receive, receive_error, send, try_receive};

/// Says how many packets it has. Returns how many the server took.
fn acknowledge(client: &mut TcpStream, received: u64) -> u64 {
    send(client, SESSION, 7, format!(r#"{{"received":{received}}}"#).as_bytes());
    let (extcode, route, seq, body) = receive(client);
    assert_eq!((extcode, route, seq), (0, SESSION, 7));
    let answer: serde_json::Value = serde_json::from_slice(&body).expect("json");
    assert_eq!((answer["ttl_ms"].as_u64(), answer.get("token")), (Some(30_000), None));
    answer["received"].as_u64().expect("a number")
}

fn push_on(gate: &Gate, conn: ConnId, route: i32, n: u32) {
    gate.act(conn, &[Action::Push { to: Target::Conn(conn), route: Route(route), body: &n.to_le_bytes() }]);
}

#[test]
fn while_nobody_is_connected_overflow_policies_hold_for_what_is_kept() {
    let policy = |overflow| RoutePolicy { overflow, ..RoutePolicy::default() };
    let routes = HashMap::from([(Route(8), policy(Overflow::KeepLatest)), (Route(7), policy(Overflow::DropNewest))]);
    let gate = Gate::with(GatewayOptions { routes, ..generous() }, |listener| listener.sessions.resume_packets = 5);
    let (mut client, conn, token) = logged_in(&gate, 9);
    push_on(&gate, conn, 8, 0);
    assert_eq!(receive(&mut client).1, 8);
    drop(client);
    gate.echo.wait_for(&format!("suspend {conn}"));
    push(&gate, conn, 100);
    (1..1000).for_each(|n| push_on(&gate, conn, 8, n));
    push(&gate, conn, 101);
    (1..1000).for_each(|n| push_on(&gate, conn, 7, n));
    push_on(&gate, conn, 8, 1000);
    let (mut client, ..) = resume(&gate, &token, 1).expect("nothing that it needs was pushed out");
    let mut got: Vec<_> = (0..5)
        .map(|_| receive(&mut client))
        .map(|(_, route, _, body)| (route, u32::from_le_bytes(body[..4].try_into().unwrap())))
        .collect();
    assert_eq!(got, [(9, 100), (8, 1000), (9, 101), (7, 1), (7, 2)]);
    push(&gate, conn, 102);
    got.clear();
    assert_eq!(numbers(&mut client, 1), [102]);
    assert!(gate.echo.sessions.stats().refused(Refusal::Overflow) > 1900);
}

#[test]
fn what_the_client_has_is_forgotten_when_it_says_so() {
    let gate = Gate::open();
    let (mut client, conn, token) = logged_in(&gate, 9);
    (0..10).for_each(|n| push(&gate, conn, n));
    assert_eq!(numbers(&mut client, 10), (0..10).collect::<Vec<_>>());
    send(&mut client, 1, 8, b"one");
    receive(&mut client);
    assert_eq!(acknowledge(&mut client, 8), 1);
    assert_eq!(acknowledge(&mut client, 3), 1, "it is known already");
    send(&mut client, SESSION, 7, br#"{"received":12}"#);
    assert_eq!(receive_error(&mut client).3, "bad request: received = 12, but only 11 packets were sent");
    let (_, text) = resume_on(gate.connect(), &token, 7).expect_err("it said that it had 8");
    assert_eq!(text, "session gone: received = 7, but packets are kept from number 8 on only");
    let (mut back, _, taken) = resume(&gate, &token, 8).expect("resumed");
    assert_eq!((numbers(&mut back, 2), taken), (vec![8, 9], 1));
    assert_eq!(receive(&mut back).3, b"one");
    assert_eq!(acknowledge(&mut back, 11), 1);
    assert_eq!(gate.echo.sessions.stats().kept_bytes(), 0);
}

#[test]
fn a_number_without_a_token_is_a_question_for_one_as_long_as_there_is_none() {
    let gate = Gate::open();
    let (mut client, conn) = gate.client();
    gate.act(conn, &[Action::Bind(conn, Uid(9)), Action::Reply(b"in")]);
    receive(&mut client);
    send(&mut client, SESSION, 5, br#"{"received":0}"#);
    assert_eq!(told(&receive(&mut client).3).1, 0);
}

#[test]
fn all_sessions_together_keep_no_more_than_the_gate_allows() {
    let gate = Gate::with(GatewayOptions { resume_bytes_total: 100_000, ..generous() }, |_| {});
    let (mut heavy, first, token_of_heavy) = logged_in(&gate, 1);
    let (mut light, second, token_of_light) = logged_in(&gate, 2);
    push(&gate, second, 7);
    numbers(&mut light, 1);
    for n in 0..25_u32 {
        let body = [n.to_le_bytes().as_slice(), &[0; 5_000]].concat();
        gate.act(first, &[Action::Push { to: Target::Conn(first), route: Route(9), body: &body }]);
        receive(&mut heavy);
        assert!(gate.echo.sessions.stats().kept_bytes() <= 100_000);
    }
    assert!(gate.echo.sessions.stats().refused(Refusal::Retained) > 0);
    let (code, text) = resume_on(gate.connect(), &token_of_heavy, 0).expect_err("it kept the most");
    assert!(code == 11 && text.starts_with("session gone: received = 0, but packets are kept from number "), "{text}");
    resume(&gate, &token_of_heavy, 25).expect("it misses nothing");
    let (mut light, ..) = resume(&gate, &token_of_light, 0).expect("it kept little");
    assert_eq!(numbers(&mut light, 1), [7]);
}

#[test]
fn another_login_and_a_logout_end_the_token_and_all_that_is_kept_for_it() {
    let gate = Gate::open();
    for is_logout in [false, true] {
        let change = |conn, uid| if is_logout { Action::Unbind(Target::Conn(conn)) } else { Action::Bind(conn, Uid(uid)) };
        let (mut client, conn, old) = logged_in(&gate, 9);
        push(&gate, conn, 7);
        numbers(&mut client, 1);
        assert!(gate.echo.sessions.stats().kept_bytes() > 0);
        gate.act(conn, &[change(conn, 20)]);
        push(&gate, conn, 8);
        assert_eq!(numbers(&mut client, 1), [8]);
        assert_eq!(gate.echo.sessions.stats().kept_bytes(), 0, "and nothing is kept from now on");
        assert_eq!(resume(&gate, &old, 2).expect_err("void"), 11);
        if is_logout {
            gate.act(conn, &[Action::Bind(conn, Uid(9))]);
        }
        // A new token counts from its answer on.
        let fresh = token(&mut client);
        push(&gate, conn, 9);
        let (mut client, ..) = resume(&gate, &fresh, 0).expect("resumed");
        assert_eq!(numbers(&mut client, 1), [9]);
        gate.act(conn, &[change(conn, 21)]);
        drop(client);
        gate.echo.wait_for(&format!("disconnect {conn}{} client_left", if is_logout { "" } else { " uid 21" }));
    }
}

#[test]
fn a_slow_reader_is_suspended_and_misses_nothing_when_it_comes_back() {
    let gate = Gate::with(GatewayOptions { write_queue_packets: 10, ..generous() }, |listener| {
        (listener.sessions.resume_packets, listener.sessions.resume_bytes) = (65_536, 1 << 30);
    });
    let (mut client, conn, token) = logged_in(&gate, 9);
    let mut sent = 0_u32;
    let number = |body: &[u8]| u32::from_le_bytes(body[..4].try_into().expect("number"));
    while !gate.echo.log().iter().any(|line| line == &format!("suspend {conn} uid 9 slow_reader")) {
        let body = [sent.to_le_bytes().as_slice(), &[0; 8_000]].concat();
        gate.act(conn, &[Action::Push { to: Target::Conn(conn), route: Route(9), body: &body }]);
        sent += 1;
    }
    let mut received = 0;
    while let Ok((_, _, _, body)) = try_receive(&mut client) {
        assert_eq!(number(&body), received);
        received += 1;
    }
    let (mut client, ..) = resume(&gate, &token, u64::from(received)).expect("resumed");
    for n in received..sent {
        assert_eq!(number(&receive(&mut client).3), n);
    }
}

#[test]
fn what_a_client_missed_takes_no_room_from_its_answers() {
    let gate = Gate::with(GatewayOptions { write_queue_bytes: 1 << 10, ..generous() }, |listener| {
        listener.sessions.resume_bytes = 64 << 20;
    });
    let (client, conn, token) = logged_in(&gate, 9);
    drop(client);
    gate.echo.wait_for(&format!("suspend {conn}"));
    // More than the sockets take, and more than 64 times the queue.
    let body = vec![7; 60_000];
    let missed = 256;
    (0..missed).for_each(|_| gate.act(conn, &[Action::Push { to: Target::Conn(conn), route: Route(9), body: &body }]));
    let (mut client, ..) = resume(&gate, &token, 0).expect("resumed");
    gate.act(conn, &[Action::Reply(b"answer")]);
    for _ in 0..missed {
        assert_eq!(receive(&mut client), (0, 9, 0, body.clone()));
    }
    assert_eq!(receive(&mut client).3, b"answer");
}
