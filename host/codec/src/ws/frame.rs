//! What frames are, what they bring, and what is wrong with them.

/// Largest payload of a control frame in bytes.
pub const CONTROL_BYTES_MAX: usize = 125;

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Frames that come in must be masked.
    Server,
    /// Frames that come in must not be masked.
    Client,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// A further part of a message.
    Continuation = 0,
    /// A text message or its first part.
    Text = 1,
    /// A binary message or its first part.
    Binary = 2,
    /// The end of the connection.
    Close = 8,
    /// Asks for a sign of life.
    Ping = 9,
    /// The answer to a ping.
    Pong = 10,
}

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WsEvent<'a> {
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A whole text message.
    Text(&'a str),
    /// To be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// The answer to a ping, or a sign of life nobody asked for.
    Pong(&'a [u8]),
    /// The peer sends nothing further. To be answered with a close frame, if none was sent yet.
    Close {
        /// Why; none if the peer does not say.
        code: Option<u16>,
        /// Text for people, at most 123 bytes.
        reason: &'a str,
    },
}

/// A break of the protocol by the peer: send a close frame with this code, then drop the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (close code {code})")]
pub struct WsError {
    /// Close code: 1002 protocol, 1003 text refused, 1007 not UTF-8, 1009 too big.
    pub code: u16,
    /// What is wrong.
    pub reason: &'static str,
}

impl Opcode {
    /// Whether it is a close, ping or pong frame.
    #[inline]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl WsError {
    pub(super) const fn protocol(reason: &'static str) -> Self {
        Self { code: 1002, reason }
    }

    pub(super) const TEXT_REFUSED: Self = Self { code: 1003, reason: "text messages are not accepted" };
    pub(super) const NOT_UTF8: Self = Self { code: 1007, reason: "text is not utf-8" };
    pub(super) const TOO_BIG: Self = Self { code: 1009, reason: "message is too big" };
}
