//! What a client can be told: deadlines, bounds, KCP and whom TLS trusts.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use kcp::Kcp;

/// Deadlines and bounds of a [`Client`](crate::Client).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// How long connecting, with TLS and the ws upgrade, may take. Default 3 s.
    pub dial_timeout: Duration,
    /// A heartbeat is sent each time this has passed; none if absent. Default 10 s.
    pub heartbeat_interval: Option<Duration>,
    /// The connection is given up when nothing was received for this long. Default never, since a server may have its heartbeats off.
    /// Over kcp it is the only sign that the server is gone.
    pub silence_timeout: Option<Duration>,
    /// The connection is given up when the peer does not take what is written within this time. Default 5 s.
    pub write_timeout: Duration,
    /// Received packets that wait for [`Client::recv`](crate::Client::recv). More are dropped and counted, so that answers to requests are
    /// never held up. Default 1,024.
    pub inbox_packets_max: usize,
    /// Packets that wait to be written; a further send waits. Default 256.
    pub outbox_packets_max: usize,
    /// Where the server takes questions about sessions; it has to fit the format's route. Default -1.
    pub session_route: i32,
    /// Sent packets that are kept because the server may not have got them, once there is a session. The oldest go first. Default 1,024.
    pub session_packets_max: usize,
    /// How the KCP of a `kcp` endpoint behaves.
    pub kcp: KcpOptions,
    /// Whose certificates are good for `tls` and `wss`.
    pub trust: Trust,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(3),
            heartbeat_interval: Some(Duration::from_secs(10)),
            silence_timeout: None,
            write_timeout: Duration::from_secs(5),
            inbox_packets_max: 1_024,
            outbox_packets_max: 256,
            session_route: -1,
            session_packets_max: 1_024,
            kcp: KcpOptions::default(),
            trust: Trust::WebRoots,
        }
    }
}

/// This side of KCP. The server has options of its own; the two need not be equal. The default is what games want: little waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KcpOptions {
    /// The longest datagram in bytes, 50 to 1,500. Default 1,400.
    pub mtu: usize,
    /// Resends after 30 ms at the earliest instead of 100, and lets the wait grow more slowly. Default true.
    pub nodelay: bool,
    /// How often unacknowledged data is checked, 10 ms to 5 s. Default 10 ms.
    pub interval: Duration,
    /// Data is resent at once when this many later segments were acknowledged; 0: never. Default 2.
    pub resend: u8,
    /// No congestion control. Default true.
    pub nc: bool,
    /// Segments in flight. Default 256.
    pub send_window: u16,
    /// Segments that are kept for a reader that does not read; less than 128 counts as 128. Default 256.
    pub receive_window: u16,
}

impl Default for KcpOptions {
    fn default() -> Self {
        let interval = Duration::from_millis(10);
        Self { mtu: 1_400, nodelay: true, interval, resend: 2, nc: true, send_window: 256, receive_window: 256 }
    }
}

impl KcpOptions {
    /// A new session on a byte stream, which sends its datagrams to `output`. Nothing is sent yet.
    ///
    /// # Errors
    /// The mtu is out of range.
    pub fn session<W: Write>(&self, output: W) -> io::Result<Kcp<W>> {
        if !(50..=1_500).contains(&self.mtu) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the mtu has to be 50 to 1,500"));
        }
        // Another one each time, so that a server does not take it for an old session from the same port. To some, 0 has a special meaning.
        let conversation = (RandomState::new().hash_one(()) as u32).max(1);
        let mut kcp = Kcp::new_stream(conversation, output);
        kcp.set_mtu(self.mtu)?;
        let interval = i32::try_from(self.interval.as_millis()).unwrap_or(i32::MAX);
        kcp.set_nodelay(self.nodelay, interval, self.resend.into(), self.nc);
        kcp.set_wndsize(self.send_window, self.receive_window);
        // The first update starts its clock; nothing can be sent before.
        kcp.update(0)?;
        Ok(kcp)
    }
}

/// Whose certificates a client accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those that browsers accept: Mozilla's roots.
    #[default]
    WebRoots,
    /// Those signed by an authority in this file, in PEM.
    Authorities(PathBuf),
    /// All of them. Whoever is on the way can read and change everything: for tests only.
    AcceptAnyCertificate,
}
