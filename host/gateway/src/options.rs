//! What an operator can set, for the gate and for each listener. The defaults are safe.

mod policy;
mod special;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use duet_codec::Format;
use duet_config::{boolean, choice, duration, integer, size};
use duet_core::{GateId, Route};
use duet_session::{DuplicateLogin, SessionLimits, Timeouts};
use duet_transport::{GuardOptions, KcpOptions, Networks, Rate, TlsIdentity, WsOptions, networks};

pub use self::policy::{Overflow, RoutePolicy};
pub use self::special::{describe_channel, describe_close_codes, describe_route, read_channels, read_close_codes, read_routes};

use crate::CloseReason;

duet_config::settings! {
    /// Limits of a gate.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GatewayOptions {
        /// Connections at one time, over all listeners, including those that still shake hands. Further ones are told `busy` and closed.
        pub connections_max: usize = 10_000, integer().range(1..=10_000_000);
        /// Handshakes (PROXY, TLS, WebSocket) at one time. Further clients are told `busy` and closed.
        pub handshakes_max: usize = 1_000, integer().range(1..=10_000_000);
        /// From the accepted socket to the end of its handshakes; then it is closed.
        pub handshake_timeout: Duration = Duration::from_secs(5), duration().range(Duration::from_millis(10)..=MINUTE);
        /// Packets of others that may wait for one client that does not read; one more closes its connection, unless its route or channel
        /// says otherwise. A client is not read while half as many of its own answers wait, or while it has as many requests in flight.
        pub write_queue_packets: usize = 1024, integer().range(1..=1 << 20);
        /// The same in bytes, at least `codec.body_bytes_max` + 64. What the client asked for itself may be 64 times as much.
        pub write_queue_bytes: usize = 1 << 20, size().range(1 << 10..=1 << 30);
        /// Bytes that are kept for clients that may resume, of all sessions together, connected or lost. Above it the sessions with the
        /// most forget what they keep; their clients can resume only if they missed nothing.
        pub resume_bytes_total: usize = 256 << 20, size().range(1 << 20..=64 << 30);
        /// A stopping server closes its connections spread over this time, but at least 1,000 a second and within `drain_timeout`.
        pub drain_spread: Duration = Duration::from_secs(1), duration().range(Duration::ZERO..=10 * MINUTE);
        /// Clients of a stopping server are asked to come back spread over this time.
        pub reconnect_spread: Duration = Duration::from_secs(5), duration().range(Duration::ZERO..=60 * MINUTE);
        ..
        /// Which gate this is: part of the ids of its connections.
        pub gate: GateId = GateId::default();
        /// Where it begins to count its connections, from 1. A gate that takes over the number of another begins above what that may have
        /// given out, so that nothing that is still on its way reaches a wrong client.
        pub first_conn: NonZeroU64 = NonZeroU64::MIN;
        /// What one address may do. Its `exempt` addresses are also free of [`GatewayOptions::rates`].
        pub guard: GuardOptions = GuardOptions::default();
        /// Peers that are believed when they say for whom they speak (PROXY protocol, `X-Forwarded-For`).
        pub proxies: Networks = Networks::default();
        /// What one connection may send.
        pub rates: Rates = Rates::default();
        /// What is special about routes.
        pub routes: HashMap<Route, RoutePolicy> = HashMap::new();
        /// What is special about channels, by the beginning of their names; the first that fits counts, before the route's.
        pub channels: Vec<(String, Overflow)> = Vec::new();
        /// Bounds of the book of sessions.
        pub sessions: SessionLimits = SessionLimits::default();
        /// Memory of this process in bytes above which the gate takes less; `None` for never.
        pub memory: Option<MemoryMarks> = None;
    }
}

const MINUTE: Duration = Duration::from_secs(60);

duet_config::settings! {
    /// `[limits]`: what one connection may send, and whom one believes.
    #[derive(Clone, Debug, PartialEq)]
    pub struct LimitOptions {
        /// Messages of one connection in a second. Further ones are answered `busy` and go no further; ten times as many close the
        /// connection.
        pub messages_per_second: u32 = 50, integer().range(1..=1_000_000);
        /// Messages of one connection at once.
        pub messages_burst: u32 = 100, integer().range(1..=1_000_000);
        /// Bytes of one connection in a second. Above it the connection is read more slowly.
        pub bytes_per_second: u32 = 256 << 10, size().range(1 << 10..=1 << 30);
        /// Bytes of one connection at once.
        pub bytes_burst: u32 = 1 << 20, size().range(1 << 10..=1 << 30);
        /// Networks whose peers are believed when they say for whom they speak: with `X-Forwarded-For` on ws, and with the PROXY protocol
        /// where a listener asks for it. Only your own proxies: whoever is in here can claim any address.
        pub trusted_proxies: Networks = Networks::default(), networks();
    }
}

duet_config::settings! {
    /// The stages of overload as an operator sets them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MemoryOptions {
        /// Memory of this process in bytes above which no new connections are taken. Automatic: 80 % of what it may have, by its cgroup or
        /// the machine.
        pub high["memory_high"]: u64 = 0, size().zero_or("automatic", 16 << 20..=4 << 40);
        /// Memory of this process in bytes above which messages are answered `busy`; above `memory_high`. Automatic: 90 %.
        pub critical["memory_critical"]: u64 = 0, size().zero_or("automatic", 16 << 20..=4 << 40);
    }
}

/// What one connection may send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Messages. One more is answered `busy`; ten times as many close the connection.
    pub messages: Rate,
    /// Bytes. Above it, the connection is read more slowly.
    pub bytes: Rate,
}

/// The stages of overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryMarks {
    /// No new connections above it.
    pub high: u64,
    /// Messages are answered `busy` above it.
    pub critical: u64,
}

impl Default for Rates {
    fn default() -> Self {
        LimitOptions::default().rates()
    }
}

impl LimitOptions {
    /// What one connection may send.
    pub fn rates(&self) -> Rates {
        let rate = |per_second: u32, burst: u32| Rate { per_second: per_second.into(), burst: burst.into() };
        Rates { messages: rate(self.messages_per_second, self.messages_burst), bytes: rate(self.bytes_per_second, self.bytes_burst) }
    }
}

/// One address that clients connect to.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// What is spoken there.
    pub protocol: Protocol,
    /// The address.
    pub address: SocketAddr,
    /// The certificate, for TLS under tcp or ws.
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
    /// Clients get error packets; without them, a request that fails is not answered, as with `due`.
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

duet_config::settings! {
    /// Logins and resumption on a listener. A session can be resumed on the listener it came from.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SessionOptions {
        /// What happens to a uid that logs in a second time: `kick-old` closes the old connection, `reject` refuses the new login.
        pub duplicate_login: DuplicateLogin = DuplicateLogin::KickOld, choice(LOGINS), again;
        /// Whether a client that lost its connection may go on with its session; if not, a lost connection ends its session.
        pub resume: bool = true, boolean(), again;
        /// The route on which clients ask for a token and resume; it has to fit `route_bytes`. No plugin gets messages on it.
        pub session_route: Route = Route(-1), integer().map(Route, |route| route.0), again;
        /// How long a lost session waits for its client; then it ends.
        pub resume_timeout: Duration = Duration::from_secs(30), duration().range(Duration::from_millis(10)..=24 * 60 * MINUTE), again;
        /// Packets that are kept for a client that may resume. A client that missed more cannot.
        pub resume_packets: usize = 256, integer().range(0..=65_536), again;
        /// The same in bytes. Each connection with a token may hold this much.
        pub resume_bytes: usize = 256 << 10, size().range(1 << 10..=1 << 30), again;
    }
}

const LOGINS: &[(&str, DuplicateLogin)] = &[("kick-old", DuplicateLogin::KickOld), ("reject", DuplicateLogin::Reject)];

impl SessionOptions {
    /// The route that the gate answers itself; none without resumption.
    pub fn route(&self) -> Option<Route> {
        self.resume.then_some(self.session_route)
    }
}

duet_config::settings! {
    /// What clients of a listener are told besides answers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Notices {
        /// Whether heartbeats to clients carry the time. A `seed` listener sends it unless it says false itself: its clients expect it.
        pub heartbeat_time: bool = false, boolean(), again;
        /// Whether a request that fails is answered with an error packet; if not, it is not answered, as with `due`.
        pub error_packets: bool = true, boolean(), again;
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

    /// Whether its port is a udp port. Those have nothing to do with tcp ports.
    pub const fn is_udp(&self) -> bool {
        matches!(self, Self::Kcp(_))
    }
}
