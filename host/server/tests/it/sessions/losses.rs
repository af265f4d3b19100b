//! Clients that are lost, and clients that leave.

use std::time::{Duration, Instant};

use duet_testkit::frame::{frame, opcode};
use duet_testkit::{Message, Peer, Wire};
use serde_json::json;

use super::{EVENTS, KICK, ONLINE, SESSION, SESSION_GONE, ask, connect, lobby, logged_in, resume, token};

/// Where an account is.
fn presence(bob: &mut Peer, uid: i64) -> u64 {
    ask(bob, ONLINE, &json!({"uid": uid})).unwrap()["online"].as_u64().unwrap()
}

/// Waits until the plugin was told of this about a connection; returns the detail.
fn told(bob: &mut Peer, conn: u64, kind: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let events = ask(bob, EVENTS, &json!({})).unwrap();
        if let Some(event) = events.as_array().unwrap().iter().find(|event| event["conn"] == conn && event["kind"] == kind) {
            return event["detail"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "no {kind} of {conn} among {events}");
    }
}

fn close(code: Option<u16>) -> impl Fn(Peer) {
    move |mut peer| {
        peer.write(&frame(opcode::CLOSE, &code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec())));
        assert_eq!(peer.closed(), Some(code.unwrap_or(1000)));
    }
}

fn reset(mut peer: Peer) {
    // Closing a socket with something in it that was not read resets the connection.
    peer.send_data(ONLINE, 1, br#"{"uid":1}"#);
    peer.stream().peek(&mut [0]).unwrap();
}

#[test]
fn a_goodbye_ends_a_session_and_a_loss_does_not() {
    let server = lobby("");
    let (mut bob, _) = logged_in(&server, Wire::TCP, 1000);
    type Leave = Box<dyn Fn(Peer)>;
    let finish: fn(Peer) = |mut peer| {
        peer.finish();
        peer.closed();
    };
    let cases: [(&str, Wire, Leave, bool); 12] = [
        ("close 1000", Wire::WS, Box::new(close(Some(1000))), false),
        ("close without a code", Wire::WS, Box::new(close(None)), false),
        ("close 4000", Wire::WS, Box::new(close(Some(4000))), true),
        ("close 3000", Wire::WS, Box::new(close(Some(3000))), true),
        ("close 1011", Wire::WS, Box::new(close(Some(1011))), true),
        ("close 1002", Wire::WS, Box::new(close(Some(1002))), true),
        ("close 1001", Wire::WS, Box::new(close(Some(1001))), true),
        ("end of the stream", Wire::WS, Box::new(drop), true),
        ("reset", Wire::WS, Box::new(reset), true),
        ("end of the stream on tcp", Wire::TCP, Box::new(drop), true),
        ("end of one side on tcp", Wire::TCP, Box::new(finish), true),
        ("reset on tcp", Wire::TCP, Box::new(reset), true),
    ];
    for (uid, (name, wire, leave, waits)) in (1..).zip(cases) {
        let (mut ann, conn) = logged_in(&server, wire, uid);
        let token = token(&mut ann);
        leave(ann);
        let cause = told(&mut bob, conn, if waits { "suspend" } else { "disconnect" });
        assert_eq!(presence(&mut bob, uid), if waits { 2 } else { 0 }, "{name}: {cause}");
        assert_eq!(resume(&server, wire, &token, 0).map(drop), if waits { Ok(()) } else { Err(SESSION_GONE) }, "{name}");
    }
}

#[test]
fn a_client_without_a_token_is_not_waited_for() {
    let server = lobby("");
    let (mut bob, _) = logged_in(&server, Wire::TCP, 8);
    let (ann, conn) = logged_in(&server, Wire::TCP, 7);
    drop(ann);
    assert_eq!(told(&mut bob, conn, "disconnect"), "client_left");
    assert_eq!(presence(&mut bob, 7), 0);
}

#[test]
fn a_kick_ends_a_session_that_waits_for_its_client() {
    let server = lobby("");
    let (mut bob, _) = logged_in(&server, Wire::TCP, 8);
    let (mut ann, conn) = logged_in(&server, Wire::TCP, 7);
    let token = token(&mut ann);
    drop(ann);
    told(&mut bob, conn, "suspend");
    ask(&mut bob, KICK, &json!({"uid": 7, "code": 1000, "reason": "gone too long"})).unwrap();
    assert_eq!(told(&mut bob, conn, "disconnect"), "kicked");
    assert_eq!(presence(&mut bob, 7), 0);
    assert_eq!(resume(&server, Wire::TCP, &token, 0).map(drop), Err(SESSION_GONE));
}

#[test]
fn a_session_that_is_asked_for_on_another_listener_is_told_so_and_stays() {
    let server = lobby("");
    let (mut bob, _) = logged_in(&server, Wire::TCP, 8);
    for (uid, lost) in [(6, true), (7, false)] {
        let (mut ann, conn) = logged_in(&server, Wire::TCP, uid);
        let token = token(&mut ann);
        let kept = (!lost).then_some(ann);
        if lost {
            told(&mut bob, conn, "suspend");
        }
        let mut stranger = connect(&server, Wire::WS);
        let refused = ask(&mut stranger, SESSION, &json!({"token": token, "received": 0})).unwrap_err();
        let text = "session gone: it belongs to another listener".to_owned();
        assert_eq!(refused, Message::Error { route: SESSION, seq: 1, code: SESSION_GONE, text });
        assert_eq!(presence(&mut bob, uid), if lost { 2 } else { 1 });
        resume(&server, Wire::TCP, &token, 0).expect("its own listener is the right one");
        assert!(kept.is_none_or(|mut ann| ann.closed().is_none()), "nothing is said");
    }
}
