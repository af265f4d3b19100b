//! Figures, printed and not judged: `cargo test -p duet-transport --test it measure -- --ignored --nocapture`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use duet_transport::KcpOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_kcp::KcpStream;

use super::alone::{alone, memory, ticks};
use super::network::config;
use super::raw::{RawClient, proof};
use super::relay::{Weather, relay};
use super::server::{GREETING, accept, echo, listen, soon};

const IDLE: u32 = 500;

#[test]
#[ignore = "a measurement of 5 s"]
fn idle_sessions() {
    alone("kcp::measure::idle_sessions", async {
        let mut listener = listen(KcpOptions::default());
        let mut client = RawClient::new(listener.local_addr().unwrap(), 0).await;
        let mut sessions = Vec::with_capacity(IDLE as usize);
        let before = memory();
        for conv in 1..=IDLE {
            client.conv = conv;
            client.send(&proof(conv, client.begin().await)).await;
            sessions.push(accept(&mut listener).await);
        }
        let (memory, before) = ((memory() - before) / i64::from(IDLE), ticks());
        tokio::time::sleep(Duration::from_secs(5)).await;
        println!("{IDLE} idle sessions: {memory} B each, {} ms of CPU in 5 s", (ticks() - before) * 10);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of some seconds"]
async fn pings() {
    let (ours, _) = echo(KcpOptions::default());
    let theirs = tokio_kcp_echo().await;
    for lost in [0, 5] {
        let weather = Weather { lost, doubled: 0, late: 0 };
        for (name, server) in [("duet", ours), ("tokio_kcp", theirs)] {
            let address = if lost == 0 { server } else { relay(server, weather).await };
            let (first, mut times) = ping(address, if lost == 0 { 3000 } else { 1000 }, name == "duet").await;
            times.sort();
            let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e6;
            println!("{name}, {lost} % lost: first {first:?}, p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us", at(0.5), at(0.99), at(0.999));
        }
    }
}

/// The time until the first answer, and of each round after it.
async fn ping(address: SocketAddr, rounds: usize, greets: bool) -> (Duration, Vec<Duration>) {
    let start = Instant::now();
    let mut client = KcpStream::connect(&config(), address).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    soon(client.read_exact(&mut vec![0; if greets { 5 + GREETING.len() } else { 5 }])).await.unwrap();
    let first = start.elapsed();
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        client.write_all(&[1; 64]).await.unwrap();
        soon(client.read_exact(&mut [0; 64])).await.unwrap();
        times.push(start.elapsed());
    }
    (first, times)
}

async fn tokio_kcp_echo() -> SocketAddr {
    let mut listener = tokio_kcp::KcpListener::bind(config(), (Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(length) = stream.read(&mut buffer).await
                    && length > 0
                    && stream.write_all(&buffer[..length]).await.is_ok()
                {}
            });
        }
    });
    address
}
