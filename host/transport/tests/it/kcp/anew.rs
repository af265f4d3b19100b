//! Clients that were started again with the address and conversation of their last session.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use duet_transport::{KcpListener, KcpOptions, KcpReader, KcpStats, KcpWriter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio_kcp::KcpStream;

use super::network::config;
use super::raw::{ACK, PUSH, RawClient, Segment, proof, push};
use super::server::{GREETING, accept, echo, listen, read, read_exact, soon, until};

/// A session whose client has said hello, and if it is settled has also acknowledged an answer.
async fn session(is_settled: bool) -> (KcpListener<()>, Arc<KcpStats>, RawClient, KcpReader, KcpWriter) {
    let mut listener = listen(KcpOptions::default());
    let stats = listener.stats();
    let client = RawClient::new(listener.local_addr().unwrap(), 7).await;
    client.send(&[proof(7, client.begin().await), push(7, 0, 1, b"hello")].concat()).await;
    let (mut reader, writer, _) = accept(&mut listener).await;
    assert_eq!(soon(read_exact(&mut reader, 5)).await, b"hello");
    client.receive().await;
    if is_settled {
        writer.try_write(b"answer").unwrap();
        let pushed = client.receive().await;
        let timestamp = u32::from_le_bytes(pushed[8..12].try_into().unwrap());
        client.send(&Segment { conv: 7, command: ACK, timestamp, number: 1, expected: 2, data: b"" }.bytes()).await;
        // What comes after it was taken later.
        client.send(&push(7, 1, 2, b"settled")).await;
        assert_eq!(soon(read_exact(&mut reader, 7)).await, b"settled");
        client.receive().await;
    }
    (listener, stats, client, reader, writer)
}

#[tokio::test]
async fn a_client_that_begins_anew_gets_a_session_and_the_old_one_is_lost() {
    for is_settled in [true, false] {
        let (mut listener, stats, client, mut old, old_writer) = session(is_settled).await;
        let cookie = client.begin().await;
        assert_eq!(stats.sessions_opened.load(Ordering::Relaxed), 1, "not before the proof");
        client.send(&proof(7, cookie)).await;
        client.send(&push(7, 0, 1, b"again")).await;
        let (mut reader, writer, peer) = accept(&mut listener).await;
        assert_eq!(peer, client.socket.local_addr().unwrap());
        assert_eq!(soon(read_exact(&mut reader, 5)).await, b"again");
        assert_eq!(soon(read(&mut old)).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(old_writer.try_write(b"x").unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(stats.sessions.load(Ordering::Relaxed), 1);
        // What is left of the old one does not end the new one.
        drop((old, old_writer));
        writer.try_write(b"new").unwrap();
        while !client.receive().await.ends_with(b"new") {}
    }
}

#[tokio::test]
async fn nothing_but_the_cookie_of_a_fresh_greeting_ends_a_session() {
    for is_settled in [true, false] {
        let (_listener, stats, client, mut reader, writer) = session(is_settled).await;
        let forger = RawClient::new(client.server, 7).await;
        let first = forger.begin().await;
        for datagram in [
            // Forged beginnings, again and again; a cookie of somebody else; guesses.
            push(7, 0, 0, b"again"),
            push(7, 0, 0, b"again"),
            proof(7, first),
            proof(7, 0),
            [proof(7, 1), push(7, 0, 1, b"again")].concat(),
            push(7, 0, 1, b"again"),
        ] {
            client.send(&datagram).await;
        }
        let number = if is_settled { 2 } else { 1 };
        // As every client does, it resends what is not acknowledged; and so does the session.
        let resend = async {
            loop {
                client.send(&push(7, number, number, b"still here")).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            data = soon(read_exact(&mut reader, 10)) => assert_eq!(data, b"still here"),
            () = resend => {}
        }
        writer.try_write(b"yes").unwrap();
        while !client.receive().await.ends_with(b"yes") {}
        assert_eq!(stats.sessions_opened.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn datagrams_of_a_session_that_come_late_or_twice_do_not_end_it() {
    let mut listener = listen(KcpOptions::default());
    let stats = listener.stats();
    let client = RawClient::new(listener.local_addr().unwrap(), 7).await;
    let cookie = client.begin().await;
    client.send(&proof(7, cookie)).await;
    let (mut reader, writer, _) = accept(&mut listener).await;
    // Its first datagram comes once more. It answers the greeting that this causes, and resends what is not acknowledged.
    let other_cookie = client.begin().await;
    assert_ne!(cookie, other_cookie);
    client.send(&proof(7, other_cookie)).await;
    client.send(&push(7, 0, 1, b"hello")).await;
    assert_eq!(soon(read_exact(&mut reader, 5)).await, b"hello");
    client.receive().await;
    writer.try_write(b"answer").unwrap();
    client.receive().await;
    client.send(&push(7, 1, 2, b"taken")).await;
    assert_eq!(soon(read_exact(&mut reader, 5)).await, b"taken");
    // By now it has received more than old datagrams say.
    client.send(&proof(7, cookie)).await;
    client.send(&proof(7, other_cookie)).await;
    client.send(&push(7, 0, 1, b"hello")).await;
    client.send(&push(7, 2, 2, b"and on")).await;
    assert_eq!(soon(read_exact(&mut reader, 6)).await, b"and on");
    assert_eq!(stats.sessions_opened.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_took_what_the_old_session_resent_goes_on_behind_it() {
    let (mut listener, stats, client, _old, old_writer) = session(false).await;
    // Never acknowledged by the client that is gone.
    old_writer.try_write(b"stale").unwrap();
    assert!(client.receive().await.ends_with(b"stale"));
    client.send(&push(7, 0, 0, b"again")).await;
    let greeting = loop {
        let datagram = client.receive().await;
        if datagram.ends_with(&GREETING) {
            break datagram;
        }
    };
    let timestamp = u32::from_le_bytes(greeting[8..12].try_into().unwrap());
    // The greeting was number 0, what the old one resent number 1.
    client.send(&Segment { conv: 7, command: ACK, timestamp, number: 0, expected: 2, data: b"" }.bytes()).await;
    client.send(&push(7, 0, 2, b"again")).await;
    let (mut reader, writer, _) = accept(&mut listener).await;
    assert_eq!(soon(read_exact(&mut reader, 5)).await, b"again");
    writer.try_write(b"new").unwrap();
    let new = loop {
        let datagram = client.receive().await;
        if datagram.ends_with(b"new") {
            break datagram;
        }
    };
    assert_eq!(new[new.len() - 15..new.len() - 11], 2_u32.to_le_bytes(), "its number");
    assert_eq!(stats.sessions.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn after_the_end_of_a_session_its_client_may_begin_anew_at_once() {
    let mut listener = listen(KcpOptions { linger: Duration::ZERO, ..KcpOptions::default() });
    let stats = listener.stats();
    let client = RawClient::new(listener.local_addr().unwrap(), 7).await;
    for life in 1..=5 {
        client.send(&[proof(7, client.begin().await), push(7, 0, 1, b"hello")].concat()).await;
        let (mut reader, writer, _) = accept(&mut listener).await;
        assert_eq!(soon(read_exact(&mut reader, 5)).await, b"hello");
        client.receive().await;
        drop((reader, writer));
        until("the session is forgotten", || stats.sessions.load(Ordering::Relaxed) == 0).await;
        assert_eq!(stats.sessions_opened.load(Ordering::Relaxed), life);
    }
}

#[tokio::test]
async fn a_first_segment_of_one_byte_is_answered() {
    let client = RawClient::new(listen(KcpOptions::default()).local_addr().unwrap(), 7).await;
    let mut listener = listen(KcpOptions::default());
    let client = RawClient { server: listener.local_addr().unwrap(), ..client };
    client.send(&push(7, 0, 0, b"\0")).await;
    let answer = client.receive().await;
    let cookie = u32::from_le_bytes(answer[8..12].try_into().unwrap());
    assert_eq!(answer, Segment { conv: 7, command: PUSH, timestamp: cookie, number: 0, expected: 0, data: &GREETING }.bytes());
    client.send(&[proof(7, cookie), push(7, 0, 1, b"\0")].concat()).await;
    let (mut reader, ..) = accept(&mut listener).await;
    assert_eq!(soon(read_exact(&mut reader, 1)).await, b"\0");
}

#[tokio::test]
async fn tokio_kcp_on_the_same_port_and_conversation_is_answered_again_and_again() {
    let (address, stats) = echo(KcpOptions::default());
    let port = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for life in 1..=3 {
        let begun = Instant::now();
        let mut socket = UdpSocket::bind(port).await;
        while socket.is_err() {
            // The last one leaves its socket a moment after it was dropped.
            tokio::task::yield_now().await;
            socket = UdpSocket::bind(port).await;
        }
        let mut client = KcpStream::connect_with_socket_conv(&config(), 7, socket.unwrap(), address).await.unwrap();
        let word = format!("hello from life {life}");
        client.write_all(word.as_bytes()).await.unwrap();
        // What an old session resent may come first, if it was faster than the new client.
        let mut answer = Vec::new();
        while !answer.ends_with(word.as_bytes()) {
            answer.push(soon(client.read_u8()).await.unwrap());
        }
        assert!(answer.starts_with(&GREETING), "{answer:?}");
        eprintln!("life {life} of the same port and conversation: answered after {:?}", begun.elapsed());
        assert_eq!(stats.sessions_opened.load(Ordering::Relaxed), life);
        drop(client);
    }
}
