//! More clients than there is room for.

use std::time::{Duration, Instant};

use duet_testkit::{Message, Peer, Wire, report};

use crate::{ECHO, echo_server};

const ROOM: usize = 50;

#[test]
fn one_client_too_many_is_told_so_and_gets_in_when_another_has_left() {
    let server = echo_server().settings(&format!("[gateway]\nconnections_max = {ROOM}\n")).start();
    let connect = |number: usize| {
        let (address, wire) = if number.is_multiple_of(2) { (server.tcp(), Wire::TCP) } else { (server.ws(), Wire::WS) };
        let mut peer = Peer::connect_to(address, wire, "/").map_err(|http| Message::Data { route: 0, seq: 0, body: http.into_bytes() })?;
        peer.call(ECHO, b"hello").map(|_| peer)
    };
    let mut inside: Vec<Peer> = (0..ROOM).map(|number| connect(number).expect("there is room")).collect();

    let busy = Message::Error { route: 0, seq: 0, code: 5, text: "busy".to_owned() };
    for _ in 0..20 {
        // One that says nothing and one that asks at once.
        let mut silent = Peer::connect(server.tcp(), Wire::TCP);
        assert_eq!((silent.next(), silent.next()), (busy.clone(), Message::Closed(None)));
        assert_eq!(connect(0).unwrap_err(), busy);
        let refused = Peer::connect_to(server.ws(), Wire::WS, "/").unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    }
    // Those inside do not notice.
    for peer in &mut inside {
        assert!(peer.call(ECHO, b"still here").is_ok());
    }

    drop(inside.pop());
    let last = Instant::now() + Duration::from_secs(5);
    let mut attempts = 1;
    while connect(0).is_err() {
        assert!(Instant::now() < last, "no room after a client has left");
        attempts += 1;
    }
    report!("connections_max {ROOM}: 60 too many, all told, 0 of {ROOM} noticed; room again at attempt {attempts} after one had left");
}
