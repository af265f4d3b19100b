//! Why connections end.

use duet_core::ErrorCode;

/// Why a connection ended. Each reason is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed it.
    ClientLeft,
    /// The client closed it and said that it is done: a WebSocket close frame with 1000 or without a code.
    Goodbye,
    /// The socket failed.
    Lost,
    /// More connections than allowed.
    TooManyConnections,
    /// A handshake did not come in time, or was not valid.
    Handshake,
    /// No whole packet in time after connecting.
    FirstPacketTimeout,
    /// A packet was begun and not finished in time.
    PacketTimeout,
    /// Silence for two heartbeat intervals.
    Silence,
    /// More was waiting for it than may.
    SlowReader,
    /// For too long, it took nothing of what was waiting for it.
    WriteTimeout,
    /// A packet above the size limit.
    Oversize,
    /// Bytes that are not a packet.
    Protocol,
    /// A text message, where only binary ones are packets.
    Text,
    /// The server is stopping.
    GoingAway,
    /// It was not bound to a uid in time.
    AuthorizeTimeout,
    /// A plugin closed it.
    Kicked,
    /// Its account logged in on another connection.
    Replaced,
    /// It became the connection of a session that was resumed.
    Resumed,
    /// It sent far more messages than it may.
    Flood,
    /// Its session was suspended and nobody came back.
    Expired,
    /// The server panicked while it served this connection.
    Internal,
}

impl CloseReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 21] = [
        Self::ClientLeft,
        Self::Goodbye,
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
        Self::AuthorizeTimeout,
        Self::Kicked,
        Self::Replaced,
        Self::Resumed,
        Self::Flood,
        Self::Expired,
        Self::Internal,
    ];

    /// Name in logs and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientLeft => "client_left",
            Self::Goodbye => "goodbye",
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
            Self::AuthorizeTimeout => "authorize_timeout",
            Self::Kicked => "kicked",
            Self::Replaced => "replaced",
            Self::Resumed => "resumed",
            Self::Flood => "flood",
            Self::Expired => "expired",
            Self::Internal => "internal",
        }
    }

    /// Close code of WebSocket, if the configuration does not say otherwise.
    pub(crate) const fn ws_code(self) -> u16 {
        match self {
            Self::ClientLeft | Self::Goodbye | Self::Lost | Self::Resumed | Self::Expired => 1000,
            Self::GoingAway => 1001,
            Self::Handshake | Self::Protocol => 1002,
            Self::Text => 1003,
            Self::Oversize => 1009,
            Self::Internal => 1011,
            Self::TooManyConnections => 1013,
            Self::FirstPacketTimeout
            | Self::PacketTimeout
            | Self::Silence
            | Self::SlowReader
            | Self::WriteTimeout
            | Self::AuthorizeTimeout
            | Self::Kicked
            | Self::Replaced
            | Self::Flood => 1008,
        }
    }

    /// The error packet that goes before the end, on route 0.
    pub(crate) const fn error_code(self) -> Option<ErrorCode> {
        match self {
            Self::GoingAway => Some(ErrorCode::GOING_AWAY),
            Self::AuthorizeTimeout => Some(ErrorCode::NOT_AUTHORIZED),
            Self::Kicked => Some(ErrorCode::KICKED),
            Self::Replaced => Some(ErrorCode::REPLACED),
            Self::Flood => Some(ErrorCode::BUSY),
            _ => None,
        }
    }

    /// Whether the client may have gone by accident, or was too slow: a bound session can then be resumed. What breaks a rule, what a
    /// plugin or the server ends, and a goodbye are not accidents.
    pub(crate) const fn is_loss(self) -> bool {
        match self {
            Self::ClientLeft | Self::Lost | Self::PacketTimeout | Self::Silence | Self::SlowReader | Self::WriteTimeout => true,
            Self::Goodbye
            | Self::TooManyConnections
            | Self::Handshake
            | Self::FirstPacketTimeout
            | Self::Oversize
            | Self::Protocol
            | Self::Text
            | Self::GoingAway
            | Self::AuthorizeTimeout
            | Self::Kicked
            | Self::Replaced
            | Self::Resumed
            | Self::Flood
            | Self::Expired
            | Self::Internal => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_listed_at_its_number_and_suspends_or_ends_as_the_manual_says() {
        let suspend: Vec<_> = CloseReason::ALL.into_iter().filter(|reason| reason.is_loss()).map(CloseReason::name).collect();
        assert_eq!(suspend, ["client_left", "lost", "packet_timeout", "silence", "slow_reader", "write_timeout"]);
        for (number, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number, "{}", reason.name());
            assert!(reason.error_code().is_none() || !reason.is_loss(), "{}: who is told why does not come back", reason.name());
        }
    }

    #[test]
    fn the_manual_lists_every_cause_and_what_it_does_to_the_session() {
        let page = include_str!("../../docs/sessions.md");
        let rows = page.lines().skip_while(|line| !line.starts_with("| cause |")).skip(2).take_while(|line| line.starts_with('|'));
        let listed: Vec<_> = rows.map(|row| (row.split('`').nth(1), row.ends_with("| is suspended |"))).collect();
        assert_eq!(listed, CloseReason::ALL.map(|reason| (Some(reason.name()), reason.is_loss())));
    }
}
