//! `tokio_kcp` as the client.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio_kcp::{KcpConfig, KcpNoDelayConfig, KcpStream};

use super::server::{GREETING, soon};

pub(super) fn config() -> KcpConfig {
    KcpConfig { nodelay: KcpNoDelayConfig::fastest(), flush_write: true, flush_acks_input: true, ..KcpConfig::default() }
}

/// A client that has got the greeting and the echo of its first words.
pub(super) async fn connect(address: SocketAddr, config: KcpConfig) -> KcpStream {
    let mut client = KcpStream::connect(&config, address).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    let mut answer = [0; 10];
    soon(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, [GREETING, *b"hello"].concat()[..]);
    client
}

/// Sends in parts: `tokio_kcp` makes one message of each write, and takes none of more than 127 fragments.
pub(super) async fn send(client: &mut (impl AsyncWrite + Unpin), data: &[u8]) {
    for part in data.chunks(32 << 10) {
        client.write_all(part).await.unwrap();
    }
}

/// Sends all of it while it receives the echo.
pub(super) async fn exchange(client: KcpStream, data: &[u8]) -> (KcpStream, Vec<u8>) {
    let (mut from, mut to): (ReadHalf<_>, WriteHalf<_>) = tokio::io::split(client);
    let mut received = vec![0; data.len()];
    let ((), read) = soon(async { tokio::join!(send(&mut to, data), from.read_exact(&mut received)) }).await;
    read.unwrap();
    (from.unsplit(to), received)
}
