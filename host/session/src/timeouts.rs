//! The deadlines of a connection.

use std::time::Duration;

/// How long a client may keep a connection without doing its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From accepting to the first whole packet. Like those for a packet and for silence, it runs only while the connection is read.
    pub first_packet: Duration,
    /// From accepting until the connection is bound to a uid; counts again from an unbind. Packets do not extend it. Zero switches
    /// this off.
    pub authorize: Duration,
    /// From the first byte of a packet to its last. Bytes that trickle in do not extend it.
    pub packet: Duration,
    /// How long bytes may wait for a client that takes none.
    pub write: Duration,
    /// What is done about heartbeats.
    pub heartbeat: Heartbeat,
    /// Time between heartbeats. A connection that was silent for two of them is closed; zero switches this off.
    pub heartbeat_interval: Duration,
}

/// Who sends heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heartbeat {
    /// Each heartbeat of the client is answered.
    Respond,
    /// The server sends one every interval.
    Tick,
    /// Those of the client count as signs of life, nothing else.
    Off,
}

/// What time has come for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The connection ends: the first packet did not come.
    FirstPacket,
    /// The connection ends: it was not bound to a uid in time.
    Authorize,
    /// The connection ends: a packet was begun and not finished.
    Packet,
    /// The connection ends: silence for two intervals.
    Silence,
    /// The connection ends: the client does not read.
    Write,
    /// The connection ends: it was closed and did not finish in time.
    Closing,
    /// The server sends a heartbeat.
    Heartbeat,
}

impl Due {
    /// Whether it is about what the client did not do.
    pub(crate) const fn is_judged(self) -> bool {
        !matches!(self, Self::Closing | Self::Heartbeat)
    }
}
