//! The deadlines of a connection.

use std::time::Duration;

use duet_config::{choice, duration};

duet_config::settings! {
    /// How long a client may keep a connection without doing its part.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Timeouts {
        /// From the open connection to its first whole packet; then it is closed. A client may send nothing before its first heartbeat, after
        /// 10 s. Like those for a packet and for silence, it runs only while the connection is read.
        pub first_packet["first_packet_timeout"]: Duration = Duration::from_secs(15), duration().range(TEN_MS..=10 * MINUTE);
        /// From the open connection until a plugin binds it to a uid, and from an unbind; then it is closed. Packets do not extend it. Off,
        /// because a game without logins would lose its clients; a game with a login should set 5 s to 30 s.
        pub authorize["authorize_timeout"]: Duration = Duration::ZERO, duration().zero_or("off", TEN_MS..=10 * MINUTE), again;
        /// From the first byte of a packet to its last; then the connection is closed. Bytes that trickle in do not extend it.
        pub packet["packet_timeout"]: Duration = Duration::from_secs(5), duration().range(TEN_MS..=10 * MINUTE);
        /// How long a client may take nothing of what waits for it; then the connection is closed.
        pub write["write_timeout"]: Duration = Duration::from_secs(10), duration().range(TEN_MS..=10 * MINUTE);
        /// What the server does about heartbeats: it answers each, or sends one every interval by itself, or sends none. Silent clients are
        /// closed in any case, unless the interval is off.
        pub heartbeat: Heartbeat = Heartbeat::Respond, choice(HEARTBEATS), again;
        /// A connection that sends nothing for two intervals is closed; any packet counts. If it is off, nobody is closed for silence, and
        /// nothing is sent.
        pub heartbeat_interval: Duration = Duration::from_secs(10), duration().zero_or("off", TEN_MS..=60 * MINUTE), again;
    }
}

const TEN_MS: Duration = Duration::from_millis(10);
const MINUTE: Duration = Duration::from_secs(60);
const HEARTBEATS: &[(&str, Heartbeat)] = &[("resp", Heartbeat::Respond), ("tick", Heartbeat::Tick), ("off", Heartbeat::Off)];

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

/// What is due.
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
