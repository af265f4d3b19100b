//! Data of all sizes through `tokio_kcp` and back.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

use duet_transport::{KcpListener, KcpOptions};
use tokio::io::AsyncReadExt;
use tokio_kcp::KcpConfig;

use super::network::{config, connect, exchange};
use super::server::{self, echo, listen, noise, soon, until};

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
        let (mut reader, writer, _) = listener.accept().await;
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
async fn a_port_in_use_names_the_process_that_holds_it() {
    let first = listen(KcpOptions::default());
    let again = KcpListener::bind(first.local_addr().unwrap(), KcpOptions::default(), Vec::new());
    let error = again.expect_err("taken").to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    let other = KcpListener::bind((Ipv4Addr::new(192, 0, 2, 1), 1).into(), KcpOptions::default(), Vec::new());
    assert!(other.expect_err("not ours").to_string().contains("no interface of this machine"));
}
