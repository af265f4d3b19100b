//! A body of the largest size, at the rate that every client has.

use std::time::{Duration, Instant};

use duet_testkit::{Peer, Server, Wire, report};

use crate::plugins::SINGLE;

/// Replies how often it was called.
const COUNT: i16 = 212;

#[test]
fn a_body_of_4_mib_arrives_at_the_default_byte_rate() {
    let settings = "[codec]\nbody_bytes_max = \"4MiB\"\n[gateway]\nwrite_queue_bytes = \"8MiB\"\n[runtime]\nqueue_bytes = \"8MiB\"\n[limits]\nexempt = []\n";
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("single", SINGLE).settings(settings).start();
    let mut bodies = 0;
    std::thread::scope(|scope| {
        let clients: Vec<_> = [(server.tcp(), Wire::TCP), (server.ws(), Wire::WS)]
            .map(|(address, wire)| {
                scope.spawn(move || {
                    let mut peer = Peer::connect(address, wire);
                    let begun = Instant::now();
                    let packet = wire.data(COUNT, 1, &vec![7; 4 << 20]);
                    peer.send(&packet);
                    let answer = peer.next_within(Duration::from_secs(90)).expect("an answer");
                    assert!(matches!(answer, duet_testkit::Message::Data { route: COUNT, seq: 1, .. }), "{}: {answer:?}", wire.name());
                    begun.elapsed()
                })
            })
            .into_iter()
            .collect();
        for client in clients {
            let took = client.join().unwrap();
            // 1 MiB at once, and the rest at 256 KiB a second: more than twice what one packet may take otherwise.
            assert!(took > Duration::from_secs(10), "{took:?}: no rate was kept");
            bodies += 1;
        }
    });
    let stopped = server.stop();
    assert!(!stopped.contains("packet_timeout") && !stopped.contains("silence"), "{stopped}");
    report!("{bodies} bodies of 4 MiB arrived at 256 KiB a second");
}
