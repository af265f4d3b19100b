//! Clients that end their side right after a request.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duet_testkit::frame::{frame, opcode, raw_frame};
use duet_testkit::{Dial, Message, Peer, Pki, Server, Wire, guest, report};

use super::{SOON, counted, lobby, lobby_server};

const COUNT: i16 = 100;

/// Sends requests and the end, and gets every answer before the connection ends.
fn answered(mut peer: Peer, end: impl FnOnce(&mut Peer)) {
    for seq in 1..=3 {
        peer.send_data(lobby::ECHO, seq, b"and good-bye");
    }
    end(&mut peer);
    for seq in 1..=3 {
        assert_eq!(peer.next(), Message::Data { route: lobby::ECHO, seq, body: b"and good-bye".to_vec() });
    }
    assert!(matches!(peer.next(), Message::Closed(_)));
}

fn lobby_with(pki: &Pki) -> Server {
    let listener = |protocol: &str, more: &str| format!("protocol = \"{protocol}\"\n{more}");
    lobby_server()
        .listener(&listener("tcp", ""))
        .listener(&listener("ws", ""))
        .listener(&listener("tcp", &pki.settings()))
        .listener(&listener("ws", &pki.settings()))
        .start()
}

#[test]
fn requests_before_the_end_of_the_clients_side_are_answered_on_every_carrier() {
    let pki = Pki::new();
    let server = lobby_with(&pki);
    let [tcp, ws, tls, wss] = server.addresses().try_into().expect("four listeners");
    let trust = pki.trust();
    let fin = |peer: &mut Peer| drop(peer.stream().shutdown(Shutdown::Write));
    let close = |peer: &mut Peer| peer.write(&frame(opcode::CLOSE, &1000_u16.to_be_bytes()));
    for _ in 0..COUNT {
        answered(Peer::connect(tcp, Wire::TCP), fin);
        answered(Peer::connect(ws, Wire::WS), fin);
        answered(Peer::connect(ws, Wire::WS), close);
        let dial = |address, wire| Dial::new(address, wire).tls(&trust).connect();
        answered(dial(tls, Wire::TCP), Peer::finish);
        answered(dial(tls, Wire::TCP), fin);
        answered(dial(wss, Wire::WS), close);
        answered(dial(wss, Wire::WS), Peer::finish);
    }
    report!("requests right before FIN, close_notify or a close frame on tcp, ws, TLS, wss: {} of {} answered", 7 * COUNT, 7 * COUNT);
}

#[test]
fn a_close_frame_is_answered_behind_the_answers() {
    let server = lobby_server().start();
    let mut peer = Peer::connect(server.ws(), Wire::WS);
    peer.send_data(lobby::ECHO, 1, b"first");
    peer.write(&frame(opcode::CLOSE, &4001_u16.to_be_bytes()));
    assert_eq!(peer.next(), Message::Data { route: lobby::ECHO, seq: 1, body: b"first".to_vec() });
    assert_eq!(peer.next(), Message::Closed(Some(4001)));
}

/// The route of the plugin of the waiting lane: it sleeps as long as it is told.
const NAP: i16 = 120;

#[test]
fn the_answers_of_a_plugin_that_waits_are_waited_for() {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("sleeper", guest("sleeper")).start();
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    peer.send_data(NAP, 1, b"300");
    peer.finish();
    assert!(matches!(peer.next(), Message::Data { route: NAP, seq: 1, .. }));
    assert_eq!(peer.next(), Message::Closed(None));
}

#[test]
fn pings_do_not_keep_half_a_message_alive() {
    let server = lobby_server().settings("[gateway]\npacket_timeout = \"600ms\"\n").start();
    let mut peer = Peer::connect(server.ws(), Wire::WS);
    assert!(peer.call(lobby::ECHO, b"hello").is_ok());
    let packet = peer.wire().data(lobby::ECHO, 9, b"in parts");
    peer.write(&raw_frame(opcode::BINARY, true, 3, &packet[..3]));
    let (mut second, closed) = (peer.second(), AtomicBool::new(false));
    let code = std::thread::scope(|scope| {
        // Nothing but the end of the connection ends the pings.
        scope.spawn(|| {
            while !closed.load(Ordering::Relaxed) && second.try_write(&frame(opcode::PING, b"still here")) {
                std::thread::park_timeout(Duration::from_millis(50));
            }
        });
        let code = peer.closed_within(SOON);
        closed.store(true, Ordering::Relaxed);
        code
    });
    assert_eq!(code, Some(Some(1008)));
    assert_eq!(counted(&server.stop(), "packet_timeout"), 1);
}
