//! A server that stops and asks its clients to come back, not all at once.

use std::time::{Duration, Instant};

use duet_testkit::suite::{raise_file_limit, sized};
use duet_testkit::{Carrier, Dial, Message, Peer, Wire, guest, report};

use super::{SOON, address, counted, lobby, lobby_server};

/// Works for 20 ms, then replies `done`.
const BUSY: i16 = 110;
const GOING_AWAY: u16 = 10;
const IN_FLIGHT: usize = 20;
/// Far more than it takes.
const DRAIN: Duration = Duration::from_secs(60);
/// The default of `gateway.reconnect_spread`, in milliseconds.
const SPREAD_MS: usize = 5_000;

#[test]
fn every_client_of_a_stopping_server_is_asked_to_come_back_at_a_time_of_its_own() {
    let count = sized(300, 2_000);
    raise_file_limit();
    let server = lobby_server().plugin("hostile", guest("hostile")).settings(&format!("drain_timeout = \"{DRAIN:?}\"\n")).start();
    let wires = [(server.tcp(), Wire::TCP), (server.ws(), Wire::WS)];
    let mut peers: Vec<Peer> = (0..count)
        .map(|number| {
            let (server, wire) = wires[number % 2];
            let mut peer = Dial::new(server, wire).from(address(number / 500)).connect();
            assert!(peer.call(lobby::ECHO, b"in").is_ok());
            peer
        })
        .collect();
    for peer in peers.iter_mut().take(IN_FLIGHT) {
        peer.send_data(BUSY, 77, b"");
        // This one was read after the other, so the other is with its plugin now.
        assert!(peer.call(lobby::ECHO, b"behind it").is_ok());
    }
    let begun = Instant::now();
    server.send_terminate();
    let (mut replies, mut hints, mut worst) = (0, Vec::new(), Duration::ZERO);
    for (number, peer) in peers.iter_mut().enumerate() {
        let mut message = peer.next();
        if number < IN_FLIGHT && matches!(message, Message::Data { .. }) {
            assert_eq!(message, Message::Data { route: BUSY, seq: 77, body: b"done".to_vec() });
            replies += 1;
            message = peer.next();
        }
        let Message::Error { route: 0, code: GOING_AWAY, text, .. } = message else { panic!("client {number}: {message:?}") };
        let hint = text.split_once("retry-after-ms=").and_then(|(_, ms)| ms.parse().ok());
        hints.push(hint.unwrap_or_else(|| panic!("client {number}: no hint in {text:?}")));
        assert_eq!(peer.next(), Message::Closed((peer.wire().carrier == Carrier::Ws).then_some(1001)), "client {number}");
        worst = worst.max(begun.elapsed());
    }
    drop(peers);
    assert!(server.wait_for_exit(DRAIN * 2).success());
    let took = begun.elapsed();
    let stopped = server.wait_for_log("stopped accepted=", SOON);
    assert!(!server.log().contains("drain_timeout"), "nobody is cut off: {}", server.log());
    assert_eq!(counted(&stopped, "going_away"), count as u64, "{stopped}");
    let (least, most): (usize, usize) = (*hints.iter().min().unwrap(), *hints.iter().max().unwrap());
    let tenth = |of: usize| hints.iter().filter(|hint| **hint * 10 / SPREAD_MS == of).count();
    let tenths: Vec<usize> = (0..10).map(tenth).collect();
    let mut different = hints.clone();
    different.sort_unstable();
    different.dedup();
    report!(
        "drain: {count} connections, {count} told error 10 with retry-after-ms {least} to {most} ({} different, fewest and most in a tenth {} and \
         {}), {replies} of {IN_FLIGHT} replies in flight delivered, last closed after {:.2} s, exit after {:.2} s",
        different.len(),
        tenths.iter().min().unwrap(),
        tenths.iter().max().unwrap(),
        worst.as_secs_f64(),
        took.as_secs_f64()
    );
    assert_eq!(replies, IN_FLIGHT);
    assert!(most < SPREAD_MS, "{most}");
    assert!(tenths.iter().all(|n| (count / 20..=count / 5).contains(n)), "{tenths:?}");
}
