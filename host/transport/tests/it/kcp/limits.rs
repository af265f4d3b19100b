//! Peers that do not read, do not stop, or are gone.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::time::Duration;

use duet_transport::KcpOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::alone::{alone, memory};
use super::network::{config, connect, send};
use super::raw::{RawClient, proof, push};
use super::server::{accept, listen, noise, read, read_exact, soon, until, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_stops_its_client_and_no_other_and_goes_on_where_it_stopped() {
    let mut listener = listen(KcpOptions::default());
    let address = listener.local_addr().unwrap();
    let client = tokio::spawn(connect(address, config()));
    let (mut slow, slow_writer, _) = accept(&mut listener).await;
    write(&slow_writer, &read_exact(&mut slow, 5).await).await.unwrap();
    let mut client = client.await.unwrap();
    let data = noise(1, 1 << 20);
    let sent = data.clone();
    let sending = tokio::spawn(async move {
        send(&mut client, &sent).await;
        client
    });

    let other = tokio::spawn(connect(address, config()));
    let (mut reader, writer, _) = accept(&mut listener).await;
    write(&writer, &read_exact(&mut reader, 5).await).await.unwrap();
    let mut other = other.await.unwrap();
    for _ in 0..200 {
        other.write_all(b"ping").await.unwrap();
        write(&writer, &soon(read_exact(&mut reader, 4)).await).await.unwrap();
        soon(other.read_exact(&mut [0; 4])).await.unwrap();
    }
    assert!(!sending.is_finished(), "the windows hold less than this");
    assert!(soon(read_exact(&mut slow, data.len())).await == data);
    sending.await.unwrap();
}

#[test]
fn a_client_that_ignores_the_window_does_not_make_its_session_grow() {
    alone("kcp::limits::a_client_that_ignores_the_window_does_not_make_its_session_grow", flood());
}

async fn flood() {
    let mut listener = listen(KcpOptions::default());
    let stats = listener.stats();
    let client = RawClient::new(listener.local_addr().unwrap(), 7).await;
    client.send(&proof(7, client.begin().await)).await;
    let (mut reader, _writer, _) = accept(&mut listener).await;
    let before = memory();
    let earlier = stats.datagrams_in.load(Ordering::Relaxed);
    for number in 0..5000 {
        client.send(&push(7, number, 1, &[5; 1400])).await;
        until("it was received", || stats.datagrams_in.load(Ordering::Relaxed) > earlier + u64::from(number)).await;
    }
    let grown = memory() - before;
    println!("a session that is not read and gets 7 MB: {:+.2} MiB", grown as f64 / f64::from(1 << 20));
    assert!(grown < 2 << 20, "{grown} bytes");
    // What was taken is in order: the windows, and not a byte more.
    let mut data = 0;
    while let Ok(part) = tokio::time::timeout(Duration::from_millis(100), read(&mut reader)).await {
        data += part.unwrap().len();
    }
    assert_eq!(data, 2 * 128 * 1400);
}

#[tokio::test]
async fn a_client_that_vanishes_ends_its_session_with_an_error_on_both_halves() {
    let mut listener = listen(KcpOptions { dead_link: Duration::from_millis(200), send_window: 2, ..KcpOptions::default() });
    let stats = listener.stats();
    let client = RawClient::new(listener.local_addr().unwrap(), 7).await;
    client.send(&proof(7, client.begin().await)).await;
    let (mut reader, writer, _) = accept(&mut listener).await;
    drop(client);
    assert_eq!(writer.try_write(&[1; 100_000]).unwrap(), 4 * 1376);
    assert!(!writer.try_flush().unwrap());
    let waiting = soon(async { tokio::join!(read(&mut reader), poll_fn(|cx| writer.poll_write_ready(cx))) }).await;
    assert_eq!(waiting.0.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(waiting.1.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(writer.try_write(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
    until("the session is gone", || stats.sessions.load(Ordering::Relaxed) == 0).await;
    assert_eq!(stats.sessions_dead.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_was_silent_for_long_is_not_dead_when_something_is_sent() {
    let mut listener = listen(KcpOptions { dead_link: Duration::from_millis(100), ..KcpOptions::default() });
    let client = tokio::spawn(connect(listener.local_addr().unwrap(), config()));
    let (mut reader, writer, _) = accept(&mut listener).await;
    write(&writer, &read_exact(&mut reader, 5).await).await.unwrap();
    let mut client = client.await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    write(&writer, b"still there?").await.unwrap();
    soon(client.read_exact(&mut [0; 12])).await.unwrap();
    until("it is acknowledged", || writer.try_flush().unwrap()).await;
}

#[tokio::test]
async fn a_client_that_was_not_listened_to_is_not_dead() {
    let mut listener = listen(KcpOptions { dead_link: Duration::from_millis(200), ..KcpOptions::default() });
    let stats = listener.stats();
    let client = tokio::spawn(connect(listener.local_addr().unwrap(), config()));
    let (mut reader, writer, _) = accept(&mut listener).await;
    write(&writer, &read_exact(&mut reader, 5).await).await.unwrap();
    let mut client = client.await.unwrap();
    write(&writer, b"still there?").await.unwrap();
    // The only thread stands still, as in a process that is stopped.
    std::thread::park_timeout(Duration::from_millis(1_000));
    soon(client.read_exact(&mut [0; 12])).await.unwrap();
    until("it is acknowledged", || writer.try_flush().unwrap()).await;
    assert_eq!(stats.sessions_dead.load(Ordering::Relaxed), 0);
}
