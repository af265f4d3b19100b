//! A server whose process is stopped and goes on: SIGSTOP, a frozen cgroup, a suspended machine.

use std::time::Duration;

use duet_testkit::suite::{raise_file_limit, sized};
use duet_testkit::{Dial, Message, Peer, Wire, report};

use super::{counted, lobby, lobby_server, wait_for_connections};

/// Deadlines of a packet and of a write.
const DEADLINE: Duration = Duration::from_millis(500);
/// Longer than these, and longer than a client may be silent.
const FROZEN: Duration = Duration::from_secs(7);

#[test]
fn whoever_sent_in_time_stays_when_a_frozen_server_goes_on() {
    raise_file_limit();
    // More than the runtime is told of at once.
    let count = sized(1_200, 5_000);
    let server = lobby_server()
        .settings(&format!(
            "[gateway]\nconnections_max = 100000\nfirst_packet_timeout = \"20s\"\npacket_timeout = \"{DEADLINE:?}\"\n\
             write_timeout = \"{DEADLINE:?}\"\nheartbeat_interval = \"3s\"\n"
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
    let mut peers: Vec<Peer> = (0..count)
        .map(|number| {
            let mut peer = connect(number);
            assert!(peer.call(lobby::ECHO, b"before").is_ok());
            peer
        })
        .collect();
    // Opening them took some time.
    for peer in &mut peers {
        assert!(peer.call(lobby::ECHO, b"right before").is_ok());
    }
    let silent: Vec<Peer> = (0..10)
        .map(|_| {
            let mut peer = Peer::connect(tcp, Wire::TCP);
            assert!(peer.call(lobby::ECHO, b"before").is_ok());
            peer
        })
        .collect();
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
    wait_for_connections(&mut peers[1], count as u64, Duration::from_secs(15));
    report!(
        "frozen for 7 s with deadlines of 0.5 s and 6 s: {count} clients that sent meanwhile stayed, {} silent ones went",
        silent.len()
    );
    let stopped = server.stop();
    assert_eq!(counted(&stopped, "silence"), silent.len() as u64, "{stopped}");
    assert_eq!(counted(&stopped, "packet_timeout"), 0, "{stopped}");
}
