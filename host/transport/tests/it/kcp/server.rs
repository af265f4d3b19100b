//! The listener as a server that echoes, and ways to wait for it.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use duet_transport::{KcpAdmission, KcpConnection, KcpListener, KcpOptions, KcpReader, KcpStats, KcpWriter};
use tokio::io::ReadBuf;

/// What each client receives first: a heartbeat.
pub(super) const GREETING: [u8; 5] = [0, 0, 0, 1, 0x80];

/// What each client that is not admitted receives last.
pub(super) const FAREWELL: &[u8] = b"no room";

/// Everybody is admitted.
pub(super) fn everybody() -> KcpAdmission<()> {
    KcpAdmission { greeting: GREETING.to_vec(), farewell: FAREWELL.to_vec(), admit: Box::new(|_| Some(())) }
}

pub(super) fn listen(options: KcpOptions) -> KcpListener<()> {
    KcpListener::bind((Ipv4Addr::LOCALHOST, 0).into(), false, options, everybody()).unwrap()
}

/// The halves of the next session, and its address.
pub(super) async fn accept<T: Send + 'static>(listener: &mut KcpListener<T>) -> (KcpReader, KcpWriter, SocketAddr) {
    let KcpConnection { reader, writer, peer, .. } = soon(listener.accept()).await;
    (reader, writer, peer)
}

/// Sends back to every client what it sends.
pub(super) fn echo(options: KcpOptions) -> (SocketAddr, Arc<KcpStats>) {
    let mut listener = listen(options);
    let (address, stats) = (listener.local_addr().unwrap(), listener.stats());
    tokio::spawn(async move {
        loop {
            let KcpConnection { mut reader, writer, .. } = listener.accept().await;
            tokio::spawn(async move {
                while let Ok(data) = read(&mut reader).await
                    && !data.is_empty()
                    && write(&writer, &data).await.is_ok()
                {}
            });
        }
    });
    (address, stats)
}

/// What has arrived; nothing at the end.
pub(super) async fn read(reader: &mut KcpReader) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 31 << 10];
    let length = poll_fn(|cx| {
        let mut buf = ReadBuf::new(&mut buffer);
        reader.poll_read(cx, &mut buf).map_ok(|()| buf.filled().len())
    })
    .await?;
    buffer.truncate(length);
    Ok(buffer)
}

pub(super) async fn read_exact(reader: &mut KcpReader, length: usize) -> Vec<u8> {
    let mut data = Vec::new();
    while data.len() < length {
        let part = read(reader).await.unwrap();
        assert!(!part.is_empty(), "ended after {} of {length} bytes", data.len());
        data.extend(part);
    }
    data
}

pub(super) async fn write(writer: &KcpWriter, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match writer.try_write(data) {
            Ok(taken) => data = &data[taken..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => poll_fn(|cx| writer.poll_write_ready(cx)).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Lets others work until a condition holds.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what} does not come true");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Fails a test that hangs.
pub(super) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("takes too long")
}

/// This many bytes, the same in every run.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut numbers = Random(seed);
    std::iter::repeat_with(|| numbers.next().to_le_bytes()).flatten().take(length).collect()
}

/// Numbers that are the same in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
    }

    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }
}
