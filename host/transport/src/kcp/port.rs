//! The UDP socket and what all of its connections share.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::net::UdpSocket;

use super::options::KcpOptions;
use super::stats::{KcpStats, add};
use super::timers::Timers;

/// What a listener, its driver and its connections have in common.
#[derive(Debug)]
pub(super) struct Port {
    socket: UdpSocket,
    options: KcpOptions,
    stats: Arc<KcpStats>,
    timers: Timers,
    start: Instant,
}

impl Port {
    pub(super) fn new(socket: UdpSocket, options: KcpOptions) -> Self {
        let options = KcpOptions { mtu: options.mtu.clamp(50, 1500), receive_window: options.receive_window.max(128), ..options };
        Self { socket, options, stats: Arc::default(), timers: Timers::default(), start: Instant::now() }
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) const fn options(&self) -> &KcpOptions {
        &self.options
    }

    pub(super) const fn stats(&self) -> &Arc<KcpStats> {
        &self.stats
    }

    pub(super) const fn timers(&self) -> &Timers {
        &self.timers
    }

    /// The time as KCP tells it: milliseconds that wrap around.
    pub(super) fn milliseconds(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.start).as_millis() as u32
    }

    /// Waits until there may be something to receive.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// The next datagram, if there is one.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (length, peer) = self.socket.try_recv_from(buffer)?;
        add(&self.stats.datagrams_in, 1);
        add(&self.stats.bytes_in, length);
        Ok((length, peer))
    }

    /// Sends a datagram now, or not at all: KCP resends what matters. True if it went out.
    pub(super) fn send(&self, datagram: &[u8], peer: SocketAddr) -> bool {
        let sent = self.socket.try_send_to(datagram, peer).is_ok();
        if sent {
            add(&self.stats.datagrams_out, 1);
            add(&self.stats.bytes_out, datagram.len());
        } else {
            self.stats.unsent.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }
}
