//! Data of all sizes through `tokio_kcp` and back.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::Ordering;

use duet_transport::{KcpListener, KcpOptions};
use tokio::io::AsyncReadExt;
use tokio_kcp::KcpConfig;

use super::network::{config, connect, exchange};
use super::raw::{RawClient, proof};
use super::server::{self, echo, everybody, listen, noise, soon, until};

#[tokio::test]
async fn data_of_many_sizes_comes_back_as_it_was_sent() {
    let (address, stats) = echo(KcpOptions::default());
    let mut client = connect(address, config()).await;
    for size in [1, 2, 1375, 1376, 1377, 2752, 5000, 31 << 10, 100_000, 1 << 20] {
        let data = noise(size as u64, size);
        let (same, received) = exchange(client, &data).await;
        assert!(received == data, "{size} bytes");
        client = same;
    }
    assert_eq!(stats.sessions.load(Ordering::Relaxed), 1);
    assert_eq!(stats.refused_malformed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn every_set_of_options_carries_data_on_both_sides() {
    let few = KcpOptions { mtu: 512, nodelay: false, nc: false, resend: 0, send_window: 8, ..KcpOptions::default() };
    for (server, client) in [
        (few, config()),
        (KcpOptions { stream: false, ack_no_delay: false, ..few }, KcpConfig { mtu: 512, stream: true, ..config() }),
        (KcpOptions { ack_no_delay: false, ..KcpOptions::default() }, KcpConfig { wnd_size: (8, 8), ..KcpConfig::default() }),
    ] {
        let (address, _) = echo(server);
        let data = noise(1, 50_000);
        let (_, received) = exchange(connect(address, client).await, &data).await;
        assert!(received == data, "{server:?} {client:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clients_at_once_each_get_their_own_data() {
    let (address, stats) = echo(KcpOptions::default());
    let clients: Vec<_> = (0..100)
        .map(|seed| {
            tokio::spawn(async move {
                let data = noise(seed, 20_000);
                let (_client, received) = exchange(connect(address, config()).await, &data).await;
                assert!(received == data, "client {seed}");
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(stats.sessions_opened.load(Ordering::Relaxed), 100);
}

#[tokio::test]
async fn a_thread_outside_the_runtime_writes_and_what_it_wrote_before_a_shutdown_arrives() {
    let mut listener = listen(KcpOptions::default());
    let stats = listener.stats();
    let (address, data) = (listener.local_addr().unwrap(), noise(3, 100_000));
    let sent = data.clone();
    let server = tokio::spawn(async move {
        let (mut reader, writer, _) = server::accept(&mut listener).await;
        let first = server::read(&mut reader).await.unwrap();
        std::thread::spawn(move || {
            assert_eq!(writer.try_write(&first).unwrap(), first.len());
            assert_eq!(writer.try_write(&sent).unwrap(), sent.len());
            writer.shutdown().unwrap();
            assert_eq!(writer.try_write(b"more").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
        })
        .join()
        .unwrap();
        // The end of the session is the end of the stream.
        assert_eq!(server::read(&mut reader).await.unwrap(), b"");
    });
    let mut client = connect(address, config()).await;
    let mut received = vec![0; data.len()];
    soon(client.read_exact(&mut received)).await.unwrap();
    assert!(received == data);
    soon(server).await.unwrap();
    until("the session is forgotten", || stats.sessions.load(Ordering::Relaxed) == 0).await;
}

#[tokio::test]
async fn a_port_that_this_process_holds_itself_is_said_to_be_its_own() {
    let first = listen(KcpOptions::default());
    let bind = |address| KcpListener::bind(address, false, KcpOptions::default(), everybody());
    let error = bind(first.local_addr().unwrap()).expect_err("taken").to_string();
    assert!(error.contains("another listener of this server has the port"), "{error}");
    let other = bind((Ipv4Addr::new(192, 0, 2, 1), 1).into());
    assert!(other.expect_err("not ours").to_string().contains("no interface of this machine"));
}

#[tokio::test]
async fn both_families_can_have_the_same_port_and_a_socket_for_both_shows_ipv4_as_ipv4() {
    let bind = |address: SocketAddr, v6_only| KcpListener::bind(address, v6_only, KcpOptions::default(), everybody());
    let mut both = bind((Ipv6Addr::UNSPECIFIED, 0).into(), false).unwrap();
    let port = both.local_addr().unwrap().port();
    let client = RawClient::new((Ipv4Addr::LOCALHOST, port).into(), 7).await;
    client.send(&proof(7, client.begin().await)).await;
    let session = soon(both.accept()).await;
    assert_eq!(session.peer, client.socket.local_addr().unwrap());
    session.writer.try_write(b"to IPv4").unwrap();
    assert!(client.receive().await.ends_with(b"to IPv4"));

    let v4 = bind((Ipv4Addr::UNSPECIFIED, 0).into(), false).unwrap();
    let port = v4.local_addr().unwrap().port();
    assert!(bind((Ipv6Addr::UNSPECIFIED, port).into(), false).unwrap_err().is_in_use());
    bind((Ipv6Addr::UNSPECIFIED, port).into(), true).unwrap();
}
