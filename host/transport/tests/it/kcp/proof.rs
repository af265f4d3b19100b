//! What happens before a client has proved its address, and after its session ended.

use std::env;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use duet_transport::KcpOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::alone::{alone, memory};
use super::network::{config, connect};
use super::raw::{ACK, ASK_WINDOW, RawClient, Segment, proof, push};
use super::server::{Random, accept, echo, listen, noise, read_exact, soon, until};

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[test]
fn datagrams_of_strangers_make_no_state_and_at_most_a_quarter_more_bytes_than_they_have() {
    alone("kcp::proof::datagrams_of_strangers_make_no_state_and_at_most_a_quarter_more_bytes_than_they_have", strangers());
}

/// `DUET_DATAGRAMS` says how many there are.
async fn strangers() {
    let count: u64 = env::var("DUET_DATAGRAMS").map_or(10_000, |number| number.parse().unwrap());
    let (address, stats) = echo(KcpOptions::default());
    let mut known = connect(address, config()).await;
    let framed = |kind: u8, segment: Vec<u8>| [&[1, 0, 0, 0, kind, 0, u8::try_from(segment.len() + 2).unwrap(), 0][..], &segment].concat();
    let kinds: [(&str, Vec<u8>); 9] = [
        ("heartbeat", push(7, 0, 0, &[0, 0, 0, 9, 0x80, 1, 2, 3, 4, 5, 6, 7, 8])),
        ("one byte", push(7, 0, 0, b"x")),
        ("full", push(7, 0, 0, &noise(1, 1376))),
        ("many in one", [push(7, 0, 0, b"a"), push(7, 1, 0, b"b"), push(7, 2, 0, b"c")].concat()),
        ("framed", framed(0xf1, push(7, 0, 0, b"hello"))),
        ("parity", framed(0xf2, push(7, 0, 0, b"hello"))),
        ("later number", push(7, 9, 0, b"hello")),
        ("no data", Segment { conv: 7, command: ASK_WINDOW, timestamp: 0, number: 0, expected: 0, data: b"" }.bytes()),
        ("forged cookie", [proof(7, 0), proof(7, 1), push(7, 0, 1, b"hello")].concat()),
    ];
    let before = memory();
    let (mut bytes_in, mut bytes_out) = (0, 0);
    for (at, (kind, datagram)) in kinds.iter().enumerate() {
        let out = of(&stats.unproved_bytes_out);
        let share = (at as u64..count).step_by(kinds.len());
        let sent = share.clone().count() as u64 * datagram.len() as u64;
        for n in share {
            let [_, a, b, c] = (u32::try_from(n % 10_000).unwrap() + 256).to_be_bytes();
            let socket = UdpSocket::bind((Ipv4Addr::new(127, a, b, c), 0)).unwrap();
            socket.send_to(datagram, address).unwrap();
            if n % 500 < kinds.len() as u64 {
                // The session that exists goes on, and the socket's buffer is emptied.
                known.write_all(b"ping").await.unwrap();
                let mut echo = [0; 4];
                soon(known.read_exact(&mut echo)).await.unwrap();
                assert_eq!(&echo, b"ping");
            }
        }
        known.write_all(b"done").await.unwrap();
        soon(known.read_exact(&mut [0; 4])).await.unwrap();
        let out = of(&stats.unproved_bytes_out) - out;
        assert!(out <= sent * 5 / 4, "{kind}: {out} bytes for {sent}");
        let is_answered = !["parity", "later number", "no data"].contains(kind);
        assert_eq!(out > 0, is_answered, "{kind}");
        bytes_in += sent;
        bytes_out += out;
    }
    let grown = memory() - before;
    println!(
        "udp before proof: {count} datagrams from {} addresses, {} sessions, in {bytes_in} B, out {bytes_out} B, memory {:+.1} MiB",
        count.min(10_000),
        stats.sessions.load(Ordering::Relaxed) - 1,
        grown as f64 / f64::from(1 << 20)
    );
    assert_eq!(stats.sessions.load(Ordering::Relaxed), 1);
    assert_eq!(of(&stats.sessions_opened), 1);
    assert!(of(&stats.datagrams_in) >= count * 99 / 100, "the socket lost datagrams: {stats:?}");
    assert!(grown < 2 << 20, "{grown} bytes");
}

#[tokio::test]
async fn a_cookie_is_good_for_its_client_and_no_other() {
    let (address, stats) = echo(KcpOptions::default());
    let client = RawClient::new(address, 7).await;
    let cookie = client.begin().await;
    let other = RawClient::new(address, 7).await;
    let mut numbers = Random(1);
    for _ in 0..1000 {
        let forged = u32::try_from(numbers.next() & 0xffff_ffff).unwrap();
        client.send(&proof(7, if forged == cookie { 0 } else { forged })).await;
    }
    other.send(&proof(7, cookie)).await;
    client.send(&proof(8, cookie)).await;
    for (number, expected) in [(1, 1), (0, 0), (0, 2)] {
        client.send(&Segment { conv: 7, command: ACK, timestamp: cookie, number, expected, data: b"" }.bytes()).await;
    }
    until("all were refused", || of(&stats.refused_stray) == 1005).await;
    assert_eq!(of(&stats.sessions_opened), 0);

    client.send(&proof(7, cookie)).await;
    until("a session", || of(&stats.sessions_opened) == 1).await;
    (0..10).for_each(|_| drop(client.socket.try_send_to(&proof(7, cookie), address)));
    client.send(&push(7, 0, 1, b"hello")).await;
    // The acknowledgement and the echo, with number 1: 0 was the greeting.
    let mut datagrams = Vec::new();
    while !datagrams.ends_with(b"hello") {
        datagrams = client.receive().await;
    }
    assert_eq!(of(&stats.sessions_opened), 1);
    assert_eq!(of(&stats.refused_malformed), 0);
}

#[tokio::test]
async fn another_conversation_from_the_same_address_is_another_session() {
    let mut listener = listen(KcpOptions::default());
    let first = RawClient::new(listener.local_addr().unwrap(), 7).await;
    first.send(&proof(7, first.begin().await)).await;
    let (mut reader, _writer, peer) = accept(&mut listener).await;
    assert_eq!(peer, first.socket.local_addr().unwrap());

    let second = RawClient { conv: 8, ..first };
    second.send(&proof(8, second.begin().await)).await;
    let (mut other, _other_writer, same_peer) = accept(&mut listener).await;
    assert_eq!(peer, same_peer);
    second.send(&push(7, 0, 1, b"first")).await;
    second.send(&push(8, 0, 1, b"second")).await;
    assert_eq!(soon(read_exact(&mut reader, 5)).await, b"first");
    assert_eq!(soon(read_exact(&mut other, 6)).await, b"second");
}

#[tokio::test]
async fn what_comes_after_the_end_of_a_session_opens_no_other() {
    let mut listener = listen(KcpOptions { linger: Duration::from_millis(20), ..KcpOptions::default() });
    let stats = listener.stats();
    let client = RawClient::new(listener.local_addr().unwrap(), 7).await;
    let cookie = client.begin().await;
    client.send(&[proof(7, cookie), push(7, 0, 1, b"hello")].concat()).await;
    let (mut reader, writer, _) = accept(&mut listener).await;
    assert_eq!(soon(read_exact(&mut reader, 5)).await, b"hello");
    drop((reader, writer));
    until("the session is forgotten", || stats.sessions.load(Ordering::Relaxed) == 0).await;

    client.send(&proof(7, cookie)).await;
    client.send(&push(7, 1, 1, b"more")).await;
    client.send(&push(7, 0, 2, b"hello")).await;
    until("all were refused", || of(&stats.refused_stray) == 3).await;
    assert_eq!(of(&stats.sessions_opened), 1);
    assert_eq!(of(&stats.unproved_bytes_out), 29, "one greeting");
}

#[tokio::test]
async fn no_more_sessions_than_allowed_and_none_after_the_listener_is_gone() {
    let mut listener = listen(KcpOptions { sessions_max: 1, ..KcpOptions::default() });
    let (address, stats) = (listener.local_addr().unwrap(), listener.stats());
    let prove = async |conv| {
        let client = RawClient::new(address, conv).await;
        client.send(&proof(conv, client.begin().await)).await;
        client
    };
    let client = prove(1).await;
    let (mut reader, _writer, _) = accept(&mut listener).await;
    let _other = prove(2).await;
    until("it was refused", || of(&stats.refused_admission) == 1).await;
    drop(listener);
    client.send(&push(1, 0, 1, b"still here")).await;
    assert_eq!(soon(read_exact(&mut reader, 10)).await, b"still here");
}

#[tokio::test]
async fn a_full_queue_of_accepted_sessions_refuses_more_until_there_is_room() {
    let mut listener = listen(KcpOptions::default());
    let (address, stats): (SocketAddr, _) = (listener.local_addr().unwrap(), listener.stats());
    let mut client = RawClient::new(address, 0).await;
    for conv in 1..=257 {
        client.conv = conv;
        client.send(&proof(conv, client.begin().await)).await;
    }
    until("the last was refused", || of(&stats.refused_full) == 1).await;
    assert_eq!(stats.sessions.load(Ordering::Relaxed), 256);
    let _first = accept(&mut listener).await;
    client.send(&proof(257, client.begin().await)).await;
    until("there was room", || of(&stats.sessions_opened) == 257).await;
}
