//! Why connections end.

/// The cause of an end. Each is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed it.
    ClientLeft,
    /// The socket failed.
    Lost,
    /// More connections than allowed.
    TooManyConnections,
    /// The WebSocket handshake did not come in time, or was none.
    Handshake,
    /// No whole packet in time after connecting.
    FirstPacketTimeout,
    /// A packet was begun and not finished in time.
    PacketTimeout,
    /// Silence for two heartbeat intervals.
    Silence,
    /// Its write queue was full.
    SlowReader,
    /// It did not read for too long.
    WriteTimeout,
    /// A packet above the size limit.
    Oversize,
    /// Bytes that are no packet.
    Protocol,
    /// A text message, where only binary ones are packets.
    Text,
    /// The server is stopping.
    GoingAway,
}

impl CloseReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::ClientLeft,
        Self::Lost,
        Self::TooManyConnections,
        Self::Handshake,
        Self::FirstPacketTimeout,
        Self::PacketTimeout,
        Self::Silence,
        Self::SlowReader,
        Self::WriteTimeout,
        Self::Oversize,
        Self::Protocol,
        Self::Text,
        Self::GoingAway,
    ];

    /// Name in logs and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientLeft => "client_left",
            Self::Lost => "lost",
            Self::TooManyConnections => "too_many_connections",
            Self::Handshake => "handshake",
            Self::FirstPacketTimeout => "first_packet_timeout",
            Self::PacketTimeout => "packet_timeout",
            Self::Silence => "silence",
            Self::SlowReader => "slow_reader",
            Self::WriteTimeout => "write_timeout",
            Self::Oversize => "oversize",
            Self::Protocol => "protocol",
            Self::Text => "text",
            Self::GoingAway => "going_away",
        }
    }

    /// Close code of WebSocket.
    pub(crate) const fn ws_code(self) -> u16 {
        match self {
            Self::ClientLeft | Self::Lost => 1000,
            Self::GoingAway => 1001,
            Self::Handshake | Self::Protocol => 1002,
            Self::Text => 1003,
            Self::Oversize => 1009,
            Self::TooManyConnections => 1013,
            Self::FirstPacketTimeout | Self::PacketTimeout | Self::Silence | Self::SlowReader | Self::WriteTimeout => 1008,
        }
    }
}
