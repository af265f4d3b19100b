//! A server whose process is stopped and goes on: SIGSTOP, a frozen cgroup, a suspended machine.

use std::time::Duration;

use duet_testkit::suite::{raise_file_limit, sized};
use duet_testkit::{Dial, Message, Peer, Wire, report};

use super::{SOON, counted, lobby, lobby_server, wait_for_connections};

/// Deadlines of a packet and of a write. Longer than it takes to stop the server once some have begun a packet.
const DEADLINE: Duration = Duration::from_secs(2);
/// Silence of two intervals ends a connection. Longer than it takes to hear from all.
const INTERVAL: Duration = Duration::from_secs(4);
/// Longer than all of these.
const FROZEN: Duration = Duration::from_secs(9);
/// So many connections are opened before all are heard from again.
const OPENED: usize = 100;

/// Every client says something at once and is answered: from now on all may be silent for as long.
fn hear_from_all(peers: &mut [Peer], body: &[u8]) {
    for peer in &mut *peers {
        peer.send_data(lobby::ECHO, 5, body);
    }
    for (number, peer) in peers.iter_mut().enumerate() {
        // A session of kcp begins with a heartbeat, which is answered.
        let answer = std::iter::repeat_with(|| peer.next()).find(|message| !matches!(message, Message::Heartbeat(_)));
        assert_eq!(answer, Some(Message::Data { route: lobby::ECHO, seq: 5, body: body.to_vec() }), "client {number}");
    }
}

#[test]
fn whoever_sent_in_time_stays_when_a_frozen_server_goes_on() {
    raise_file_limit();
    // More than the runtime is told of at once.
    let count = sized(1_200, 5_000);
    let server = lobby_server()
        .settings(&format!(
            "[gateway]\nconnections_max = 100000\nfirst_packet_timeout = \"20s\"\npacket_timeout = \"{DEADLINE:?}\"\n\
             write_timeout = \"{DEADLINE:?}\"\nheartbeat_interval = \"{INTERVAL:?}\"\n"
        ))
        .listener("protocol = \"tcp\"\n")
        .listener("protocol = \"ws\"\n")
        .listener("protocol = \"kcp\"\n")
        .start();
    let [tcp, ws, kcp] = server.addresses().try_into().expect("three listeners");
    let connect = |number: usize| match number % 50 {
        0 => Dial::kcp(kcp).connect(),
        n if n % 2 == 0 => Peer::connect(ws, Wire::WS),
        _ => Peer::connect(tcp, Wire::TCP),
    };
    let mut peers: Vec<Peer> = Vec::with_capacity(count);
    for number in 0..count {
        peers.push(connect(number));
        if peers.len().is_multiple_of(OPENED) {
            hear_from_all(&mut peers, b"before");
        }
    }
    let mut silent: Vec<Peer> = (0..10).map(|_| Peer::connect(tcp, Wire::TCP)).collect();
    hear_from_all(&mut silent, b"before");
    hear_from_all(&mut peers, b"right before");
    // Some have begun a packet.
    let packets: Vec<Vec<u8>> = peers.iter().map(|peer| peer.wire().data(lobby::ECHO, 7, b"meanwhile")).collect();
    let begun = |number: usize| number % 50 == 1;
    for (number, peer) in peers.iter_mut().enumerate().filter(|(number, _)| begun(*number)) {
        peer.write(&packets[number][..5]);
    }
    server.freeze();
    for (number, peer) in peers.iter_mut().enumerate() {
        if begun(number) { peer.write(&packets[number][5..]) } else { peer.send(&packets[number]) }
    }
    std::thread::park_timeout(FROZEN);
    server.thaw();
    for (number, peer) in peers.iter_mut().enumerate() {
        let answer = peer.next();
        assert_eq!(answer, Message::Data { route: lobby::ECHO, seq: 7, body: b"meanwhile".to_vec() }, "client {number}");
    }
    // Those who said nothing go, as always.
    hear_from_all(&mut peers, b"afterwards");
    silent.iter_mut().for_each(|peer| assert_eq!(peer.closed(), None));
    hear_from_all(&mut peers, b"still here");
    wait_for_connections(&mut peers[1], count as u64, SOON);
    report!("frozen for 9 s with deadlines of 2 s and 8 s: {count} clients that sent meanwhile stayed, {} silent ones went", silent.len());
    let stopped = server.stop();
    assert_eq!(counted(&stopped, "silence"), silent.len() as u64, "{stopped}");
    assert_eq!(counted(&stopped, "packet_timeout"), 0, "{stopped}");
}
