//! What an operator can set, for the gate and for each listener. The defaults are safe.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use duet_codec::Format;
use duet_core::Route;
use duet_session::{DuplicateLogin, SessionLimits, Timeouts};
use duet_transport::{GuardOptions, KcpOptions, Networks, Rate, TlsIdentity, WsOptions};

use crate::CloseReason;

/// Limits of a gate.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Sessions at a time, those that still shake hands included. One more is told `busy` and closed.
    pub connections_max: usize,
    /// Handshakes (PROXY, TLS, WebSocket) at a time. One more is told `busy` and closed.
    pub handshakes_max: usize,
    /// From accepting a connection to the end of its handshakes.
    pub handshake_timeout: Duration,
    /// What one address may do. Its `exempt` addresses are also free of [`GatewayOptions::rates`].
    pub guard: GuardOptions,
    /// Peers that are believed when they say for whom they speak (PROXY protocol, `X-Forwarded-For`).
    pub proxies: Networks,
    /// What one connection may send.
    pub rates: Rates,
    /// Packets of others that may wait for a client that does not read; one more closes its connection, unless its route or channel says
    /// otherwise. A client is not read while half of it waits, its own answers included, or while it has as many requests in flight.
    pub write_queue_packets: usize,
    /// The same in bytes. So many requests may be in flight that 64 times as much has room for the longest answers.
    pub write_queue_bytes: usize,
    /// What is special about routes.
    pub routes: HashMap<Route, RoutePolicy>,
    /// What is special about channels, by the beginning of their names; the first that fits counts, before the route's.
    pub channels: Vec<(String, Overflow)>,
    /// Bounds of the book of sessions.
    pub sessions: SessionLimits,
    /// Bytes that are kept for clients that may resume, of all sessions together. Above it the sessions with the most forget what they keep.
    pub resume_bytes_total: usize,
    /// Memory of this process in bytes above which the gate takes less; `None` for never.
    pub memory: Option<MemoryMarks>,
    /// A gate that drains closes its connections spread over this time, but at least a thousand a second.
    pub drain_spread: Duration,
    /// Clients are asked to come back spread over this time.
    pub reconnect_spread: Duration,
}

/// What one connection may send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Messages. One more is answered `busy`; ten times as many close the connection.
    pub messages: Rate,
    /// Bytes. Above it, the connection is read more slowly.
    pub bytes: Rate,
}

/// What is special about a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoutePolicy {
    /// Longest body of a client's message, if less than the format's limit.
    pub body_bytes_max: Option<usize>,
    /// What is done with messages to clients that do not read.
    pub overflow: Overflow,
}

/// What is done with a packet for a client that does not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Its connection is closed once the queue is full.
    #[default]
    Close,
    /// A packet that finds the queue full is dropped.
    DropNewest,
    /// A packet takes the place of the one of the same route that still waits. One that finds the queue full is dropped.
    KeepLatest,
}

/// The stages of overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryMarks {
    /// No new connections above it.
    pub high: u64,
    /// Messages are answered `busy` above it.
    pub critical: u64,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            handshakes_max: 1_000,
            handshake_timeout: Duration::from_secs(5),
            guard: GuardOptions::default(),
            proxies: Networks::default(),
            rates: Rates::default(),
            write_queue_packets: 1024,
            write_queue_bytes: 1 << 20,
            routes: HashMap::new(),
            channels: Vec::new(),
            sessions: SessionLimits { channels_per_session: 64, channel_bytes: 255, suspended_max: 10_000 },
            resume_bytes_total: 256 << 20,
            memory: None,
            drain_spread: Duration::from_secs(1),
            reconnect_spread: Duration::from_secs(5),
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self { messages: Rate { per_second: 50.0, burst: 100.0 }, bytes: Rate { per_second: 256.0 * 1024.0, burst: 1024.0 * 1024.0 } }
    }
}

/// One address that clients connect to.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
    /// The certificate, for TLS below tcp or ws.
    pub tls: Option<Arc<TlsIdentity>>,
    /// Peers in [`GatewayOptions::proxies`] begin with a PROXY protocol header (v1 or v2). Not with kcp.
    pub proxy_protocol: bool,
    /// The wire format of its clients.
    pub format: Format,
    /// Deadlines and heartbeats of its connections.
    pub timeouts: Timeouts,
    /// Logins and resumption.
    pub sessions: SessionOptions,
    /// Heartbeats to the client carry the time.
    pub heartbeat_time: bool,
    /// Clients get error packets; without them they are only told by silence, as with `due`.
    pub error_packets: bool,
    /// Close codes of WebSocket that differ from the usual ones.
    pub close_codes: Vec<(CloseReason, u16)>,
}

impl ListenerOptions {
    /// A listener without TLS and with the usual sessions and error packets.
    pub fn new(protocol: Protocol, address: SocketAddr, format: Format, timeouts: Timeouts) -> Self {
        Self {
            protocol,
            address,
            tls: None,
            proxy_protocol: false,
            format,
            timeouts,
            sessions: SessionOptions::default(),
            heartbeat_time: false,
            error_packets: true,
            close_codes: Vec::new(),
        }
    }
}

/// Logins and resumption on a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// What happens to a uid that is bound a second time.
    pub duplicate_login: DuplicateLogin,
    /// The route on which clients ask for a token and resume; `None` switches resumption off.
    pub route: Option<Route>,
    /// How long a lost session waits for its client.
    pub resume_timeout: Duration,
    /// Packets that are kept for a client that may resume.
    pub resume_packets: usize,
    /// The same in bytes.
    pub resume_bytes: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            duplicate_login: DuplicateLogin::KickOld,
            route: Some(Route(-1)),
            resume_timeout: Duration::from_secs(30),
            resume_packets: 256,
            resume_bytes: 256 << 10,
        }
    }
}

/// What carries the packets.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// A tcp stream.
    Tcp,
    /// WebSocket.
    Ws(WsOptions),
    /// KCP over udp.
    Kcp(KcpOptions),
}

impl Protocol {
    /// Name as in the configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Ws(_) => "ws",
            Self::Kcp(_) => "kcp",
        }
    }

    /// Whether its port is one of udp. Those have nothing to do with the ports of tcp.
    pub const fn is_udp(&self) -> bool {
        matches!(self, Self::Kcp(_))
    }
}
