//! Datagrams from addresses that were never proved.

use std::net::{SocketAddr, UdpSocket};

use duet_testkit::suite::sized;
use duet_testkit::{Dial, Honest, Peer, Wire, report};

use super::{PATIENT, address, baseline, beside, connections, grown_mib, lobby, lobby_server};

const PUSH: u8 = 81;
const ACK: u8 = 82;
const ASK_WINDOW: u8 = 83;
/// Source addresses.
const ADDRESSES: usize = 10_000;
/// Sockets at a time: few enough for the buffer of the server's one socket.
const SOCKETS: usize = 100;
const HONEST: usize = 4;

/// One segment of KCP.
fn segment(command: u8, timestamp: u32, number: u32, expected: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = 7_u32.to_le_bytes().to_vec();
    bytes.extend([command, 0, 128, 0]);
    for field in [timestamp, number, expected, data.len() as u32] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(data);
    bytes
}

/// What an attacker may send in the name of somebody else.
fn kinds() -> Vec<Vec<u8>> {
    let packet = Wire::TCP.data(lobby::ECHO, 1, b"amplify me");
    vec![
        segment(PUSH, 1, 0, 0, &packet),
        segment(PUSH, 1, 0, 0, b"x"),
        segment(PUSH, 1, 0, 0, &[7; 1376]),
        [segment(PUSH, 1, 0, 0, &packet), segment(PUSH, 1, 1, 0, &packet), segment(PUSH, 1, 2, 0, &packet)].concat(),
        segment(PUSH, 1, 9, 0, &packet),
        segment(ASK_WINDOW, 0, 0, 0, b""),
        [segment(ACK, 0, 0, 1, b""), segment(PUSH, 1, 0, 1, &packet)].concat(),
        vec![0; 25],
        vec![0xff; 1400],
    ]
}

#[test]
fn datagrams_from_addresses_that_were_never_proved_cost_nothing() {
    let count = sized(10_000, 100_000);
    let settings = format!("[gateway]\n{PATIENT}");
    let server = lobby_server().settings(&settings).listener("protocol = \"kcp\"\n").listener("protocol = \"tcp\"\n").start();
    let kcp = server.kcp();
    let established = || {
        Honest::start(HONEST, || {
            let mut peer = Dial::kcp(kcp).connect();
            assert!(peer.call(lobby::ECHO, b"in").is_ok());
            Box::new(move || assert_eq!(peer.call(lobby::ECHO, b"honest"), Ok(b"honest".to_vec())))
        })
    };
    let before = baseline(established);
    let mut known = Dial::kcp(kcp).connect();
    assert!(known.call(lobby::ECHO, b"known").is_ok());
    let mut observer = Peer::connect(server.tcp(), Wire::TCP);
    let honest = established();
    let (rss, sessions) = (server.rss_bytes(), connections(&mut observer));
    let (bytes_in, bytes_out) = throw(count, kcp, &mut known);
    let grown = grown_mib(&server, rss);
    // Some of the baseline's may have ended by their silence.
    assert!(connections(&mut observer) <= sessions, "sessions without a proof");
    let waits = honest.stop();
    report!(
        "udp before proof: {count} datagrams from {} addresses, 0 sessions, memory +{grown:.2} MiB, in {bytes_in} B, out {bytes_out} B; {HONEST} \
         established kcp sessions made {}",
        ADDRESSES.min(count),
        beside(&before, &waits)
    );
    assert!(grown < 10.0, "{grown} MiB");
    assert!(bytes_out <= bytes_in, "{bytes_out} bytes for {bytes_in}");
    // Five kinds of nine are answered with 29 bytes each. If they are not, the server has not seen what was sent.
    assert!(bytes_out >= count * 5 / 9 * 29 * 9 / 10, "{bytes_out} bytes came back");
}

/// Sends this many datagrams, each from an address of its own, and returns how many bytes were sent and how many came back.
fn throw(count: usize, server: SocketAddr, known: &mut Peer) -> (usize, usize) {
    let kinds = kinds();
    let (mut bytes_in, mut bytes_out) = (0, 0);
    for batch in (0..count).collect::<Vec<_>>().chunks(SOCKETS) {
        let sockets: Vec<UdpSocket> = batch
            .iter()
            .map(|number| {
                let socket = UdpSocket::bind((address(number % ADDRESSES), 0)).expect("a udp socket");
                let datagram = &kinds[number % kinds.len()];
                bytes_in += socket.send_to(datagram, server).expect("a datagram");
                socket
            })
            .collect();
        // Datagrams are handled in order: whatever is answered at all is answered before this.
        assert!(known.call(lobby::ECHO, b"are you there").is_ok());
        for socket in &sockets {
            socket.set_nonblocking(true).expect("a udp socket");
            let mut datagram = [0; 2048];
            while let Ok(length) = socket.recv(&mut datagram) {
                bytes_out += length;
            }
        }
    }
    (bytes_in, bytes_out)
}
