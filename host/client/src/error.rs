//! What can go wrong for a client, and why a connection ended.

use std::io;

use duet_codec::EncodeError;
use tokio_tungstenite::tungstenite;

use crate::endpoint::Endpoint;

/// Why an operation of a [`Client`](crate::Client) failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address could not be resolved or did not accept.
    #[error("cannot connect to {endpoint}")]
    Dial {
        /// Where the client wanted to go.
        endpoint: Endpoint,
        /// What the system said.
        source: io::Error,
    },
    /// Connection and upgrade together took longer than `dial_timeout`.
    #[error("no connection to {endpoint} within the dial timeout")]
    DialTimeout {
        /// Where the client wanted to go.
        endpoint: Endpoint,
    },
    /// The server did not agree to the ws upgrade.
    #[error("{endpoint} refused the upgrade")]
    Upgrade {
        /// Where the client wanted to go.
        endpoint: Endpoint,
        /// What was wrong with the answer.
        source: Box<tungstenite::Error>,
    },
    /// Route, seq or body do not fit the format; nothing was sent.
    #[error("the packet does not fit the format")]
    Encode(#[from] EncodeError),
    /// The format has no seq field, so an answer cannot be told from another.
    #[error("requests need a format with a seq")]
    NoSeq,
    /// Every seq of the route is waiting for an answer.
    #[error("every seq of route {route} waits for an answer")]
    SeqExhausted {
        /// The route asked for.
        route: i32,
    },
    /// The server answered with an error packet.
    #[error("refused with code {code}: {message}")]
    Refused {
        /// The error code of the answer.
        code: u16,
        /// The text of the answer; may be empty.
        message: String,
    },
    /// No answer came in time. A late one is delivered by `recv`.
    #[error("no answer to route {route} in time")]
    Timeout {
        /// The route asked for.
        route: i32,
    },
    /// The connection has ended.
    #[error("the connection is closed: {0}")]
    Closed(CloseReason),
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer ended the stream without a word.
    #[error("the server ended the stream")]
    EndOfStream,
    /// The peer sent a ws close frame.
    #[error("the server closed with {code} {reason}")]
    CloseFrame {
        /// The close code; 1005 if the frame had none.
        code: u16,
        /// The text of the close frame; may be empty.
        reason: String,
    },
    /// The peer sent something that is no packet of this format.
    #[error("the server broke the format: {0}")]
    Malformed(String),
    /// Reading or writing failed, for example a reset.
    #[error("{0}")]
    Io(String),
    /// Nothing was received for `silence_timeout`.
    #[error("the server was silent for too long")]
    Silent,
    /// The peer did not take a packet within `write_timeout`.
    #[error("the server stopped reading")]
    WriteTimeout,
    /// This side closed.
    #[error("closed by this side")]
    Local,
}

impl CloseReason {
    /// The ws close code of the peer, if it sent one.
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::CloseFrame { code, .. } => Some(*code),
            _ => None,
        }
    }
}
