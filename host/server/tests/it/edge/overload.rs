//! A server that is short of memory.

use std::time::{Duration, Instant};

use duet_testkit::{Dial, Message, Peer, Server, Wire, report};

use super::{MIB, SOON, counted, lobby, lobby_server, try_ask};

const BUSY: u16 = 5;
/// Marks this many bytes above what a server without clients uses. Far apart, so that what happens between them can be seen.
const HIGH: u64 = 48 << 20;
const CRITICAL: u64 = 160 << 20;

/// What one attempt to connect and one message on an existing connection come to.
fn state(server: &Server, inside: &mut Peer) -> (bool, bool) {
    let connects = Dial::new(server.tcp(), Wire::TCP).try_connect().is_ok_and(|mut peer| peer.call(lobby::ECHO, b"in?").is_ok());
    let served = match inside.call(lobby::ECHO, b"served?") {
        Ok(_) => true,
        Err(Message::Error { code: BUSY, .. }) => false,
        Err(other) => panic!("{other:?}"),
    };
    (connects, served)
}

/// Waits for a state, while something more is done in each round.
fn wait(server: &Server, inside: &mut Peer, wanted: (bool, bool), mut more: impl FnMut()) -> Duration {
    let begun = Instant::now();
    loop {
        let now = state(server, inside);
        if now == wanted {
            return begun.elapsed();
        }
        let mib = server.rss_bytes() as f64 / MIB;
        assert!(begun.elapsed() < SOON, "connections and messages are {now:?} instead of {wanted:?} with {mib:.0} MiB\n{}", server.log());
        more();
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_server_that_is_short_of_memory_takes_no_connections_then_no_messages_and_recovers() {
    let settings =
        |more: &str| format!("[gateway]\nwrite_queue_bytes = \"512MiB\"\nwrite_queue_packets = 1000000\nwrite_timeout = \"5m\"\n{more}");
    // What such a server has when nothing happens.
    let calm = {
        let server = lobby_server().settings(&settings("")).start();
        assert!(Peer::connect(server.tcp(), Wire::TCP).call(lobby::ECHO, b"hello").is_ok());
        server.rss_bytes()
    };
    let (high, critical) = (calm + HIGH, calm + CRITICAL);
    let server = lobby_server().settings(&settings(&format!("memory_high = {high}\nmemory_critical = {critical}\n"))).start();
    let mut inside = Peer::connect(server.tcp(), Wire::TCP);
    assert_eq!(state(&server, &mut inside), (true, true));

    // A client that asks for much and reads nothing: what waits for it is the server's memory.
    let mut greedy = vec![Dial::new(server.tcp(), Wire::TCP).receive_bytes(4 << 10).connect()];
    let blob = r#"{"bytes":60000,"count":50}"#;
    wait(&server, &mut inside, (false, true), || greedy[0].send_data(lobby::BLOB, 1, blob.as_bytes()));
    let refused = Dial::new(server.ws(), Wire::WS).try_connect().expect_err("no new connections");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    let mut told = Dial::new(server.tcp(), Wire::TCP).bare();
    assert!(matches!(told.next(), Message::Error { code: BUSY, route: 0, .. }));
    wait(&server, &mut inside, (false, false), || greedy[0].send_data(lobby::BLOB, 1, blob.as_bytes()));
    let most = server.rss_bytes();
    // It is over as soon as the greedy one is gone.
    greedy.clear();
    let recovered = wait(&server, &mut inside, (true, true), || {});
    assert!(matches!(try_ask(&mut inside, lobby::COUNTS, "{}"), Ok(counts) if counts["connections"] == 1));
    for line in ["memory is short: no new connections", "memory is very short: messages are answered busy", "memory is no longer short"] {
        assert!(server.log().contains(line), "{line} is missing:\n{}", server.log());
    }
    let stopped = server.stop();
    let (memory, shed) = (counted(&stopped, "memory"), counted(&stopped, "shed"));
    assert!(memory >= 3 && shed >= 1, "{stopped}");
    report!(
        "overload: calm {:.0} MiB, marks at +{} and +{} MiB, worst +{:.0} MiB; {memory} connections refused, {shed} messages answered busy, recovered \
         {:.2} s after the cause was gone",
        calm as f64 / MIB,
        HIGH >> 20,
        CRITICAL >> 20,
        (most.saturating_sub(calm)) as f64 / MIB,
        recovered.as_secs_f64()
    );
}
