//! The deadline of a write: what counts is what the client takes, also through TLS and over KCP.

use std::time::{Duration, Instant};

use duet_testkit::{Dial, Message, Peer, Pki, Server, report};

use super::{counted, lobby, lobby_server};

const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
const BODY_BYTES: usize = 60_000;
/// More than the buffers of both sides of a socket take.
const BODIES: usize = 300;
/// Reads slowly for this long, with a pause after each packet.
const SLOW: Duration = Duration::from_secs(7);
const PAUSE: Duration = Duration::from_millis(150);

fn server(listener: &str) -> Server {
    let settings = format!("[log]\nlevel = \"debug\"\n[gateway]\nwrite_timeout = \"{WRITE_TIMEOUT:?}\"\n");
    lobby_server().settings(&settings).listener(listener).start()
}

/// Asks for far more than the server can write now.
fn ask_for_much(peer: &mut Peer) {
    let body = format!(r#"{{"bytes":{BODY_BYTES},"count":1}}"#);
    let wire = peer.wire();
    let packets: Vec<u8> = (0..BODIES).flat_map(|_| wire.data(lobby::BLOB, 0, body.as_bytes())).collect();
    assert!(peer.try_write(&packets), "the server is there");
}

/// Takes what comes until all of it has. Returns how long the slow part took.
fn read_slowly(peer: &mut Peer) -> Duration {
    let begun = Instant::now();
    let mut pushed = 0;
    let mut slow = Duration::ZERO;
    while pushed < BODIES {
        match peer.next() {
            Message::Data { body, .. } => pushed += usize::from(body.len() >= BODY_BYTES),
            Message::Heartbeat(_) => {}
            other => panic!("{other:?} after {:?} and {pushed} of {BODIES}", begun.elapsed()),
        }
        if begun.elapsed() < SLOW {
            std::thread::park_timeout(PAUSE);
            slow = begun.elapsed();
        }
    }
    slow
}

fn is_closed_by_the_write_timeout_only_if_nothing_is_read(name: &str, listener: &str, connect: impl Fn(&Server) -> Peer) {
    let server = server(listener);
    let mut slow = connect(&server);
    ask_for_much(&mut slow);
    let took = read_slowly(&mut slow);
    assert!(took > WRITE_TIMEOUT * 3, "{took:?}");
    assert!(!server.log().contains("write_timeout"), "{}", server.log());
    assert!(slow.call(lobby::ECHO, b"still here").is_ok());
    let mut still = connect(&server);
    ask_for_much(&mut still);
    // It neither reads nor ends its side.
    let line = server.wait_for_log("closed as write_timeout", Duration::from_secs(30));
    assert!(line.contains("gateway.write_timeout"), "{line}");
    drop((slow, still));
    let stopped = server.stop();
    assert_eq!(counted(&stopped, "write_timeout"), 1, "{stopped}");
    report!("write progress, {name}: a client that read slowly for {took:.1?} stayed, one that read nothing was closed");
}

#[test]
fn a_client_of_tls_that_reads_slowly_stays_and_one_that_reads_nothing_goes() {
    let pki = Pki::new();
    let trust = pki.trust();
    let connect = |server: &Server| Dial::new(server.addresses()[0], duet_testkit::Wire::TCP).receive_bytes(64 << 10).tls(&trust).connect();
    is_closed_by_the_write_timeout_only_if_nothing_is_read("TLS", &format!("protocol = \"tcp\"\n{}", pki.settings()), connect);
}

#[test]
fn a_client_of_kcp_that_reads_slowly_stays_and_one_that_reads_nothing_goes() {
    is_closed_by_the_write_timeout_only_if_nothing_is_read("kcp", "protocol = \"kcp\"\n", |server| {
        let mut peer = Dial::kcp(server.kcp()).connect();
        assert!(peer.call(lobby::ECHO, b"first").is_ok());
        peer
    });
}
