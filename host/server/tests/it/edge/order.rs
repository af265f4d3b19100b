//! Answers come in the order of their requests, to the one who asked.

use std::net::SocketAddr;

use duet_testkit::{Message, Peer, Wire, report};

use crate::{ECHO, echo_server};

#[test]
fn ten_thousand_pipelined_requests_come_back_in_order() {
    let server = echo_server().start();
    for (address, wire) in [(server.tcp(), Wire::TCP), (server.ws(), Wire::WS)] {
        let begun = std::time::Instant::now();
        pipeline(address, wire, 10_000, 0);
        report!("order, {}: 10,000 pipelined, 10,000 in order, {:.2} s", wire.name(), begun.elapsed().as_secs_f64());
    }
}

#[test]
fn replies_match_on_fifty_connections_at_once() {
    // Two instances, so that connections are spread over both workers.
    let server = echo_server().file("hostile.toml", "instances = 2\n").start();
    let (tcp, ws) = (server.tcp(), server.ws());
    let clients: Vec<_> = (0..50)
        .map(|number| {
            let (address, wire) = if number % 2 == 0 { (tcp, Wire::TCP) } else { (ws, Wire::WS) };
            std::thread::spawn(move || pipeline(address, wire, 500, number))
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    report!("matching: 50 connections, 25,000 requests, 0 replies to another");
}

/// Sends everything without waiting, and checks each answer.
fn pipeline(address: SocketAddr, wire: Wire, requests: i32, number: i32) {
    let body = move |request: i32| format!("client {number} request {request}").into_bytes();
    let seq = |request: i32| i16::try_from(request % 30_000 + 1).unwrap();
    let mut peer = Peer::connect(address, wire);
    let mut writer = peer.second();
    let writing = std::thread::spawn(move || {
        for request in 0..requests {
            writer.send_data(ECHO, seq(request), &body(request));
        }
    });
    for request in 0..requests {
        assert_eq!(peer.next(), Message::Data { route: ECHO, seq: seq(request), body: body(request) }, "client {number}");
    }
    writing.join().unwrap();
}
