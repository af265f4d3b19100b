//! What an operator can set, for the gate and for each listener. The defaults are safe.

use std::net::SocketAddr;
use std::time::Duration;

use duet_codec::Format;
use duet_session::Timeouts;

/// Limits of a gate.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Connections at a time, those that still shake hands included. One more is told `busy` and closed.
    pub connections_max: usize,
    /// Packets that may wait for a client that does not read; one more closes its connection.
    pub write_queue_packets: usize,
    /// The same in bytes.
    pub write_queue_bytes: usize,
    /// From accepting a WebSocket to the end of its handshake.
    pub handshake_timeout: Duration,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self { connections_max: 10_000, write_queue_packets: 1024, write_queue_bytes: 1 << 20, handshake_timeout: Duration::from_secs(5) }
    }
}

/// One address that clients connect to.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
    /// The wire format of its clients.
    pub format: Format,
    /// Deadlines and heartbeats of its connections.
    pub timeouts: Timeouts,
    /// Heartbeats to the client carry the time.
    pub heartbeat_time: bool,
    /// Clients get error packets; without them they are only told by silence, as with `due`.
    pub error_packets: bool,
}

/// What carries the packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A plain tcp stream.
    Tcp,
    /// WebSocket at a path.
    Ws {
        /// The path, beginning with a slash.
        path: String,
    },
}

impl Protocol {
    /// Name as in the configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Ws { .. } => "ws",
        }
    }
}
