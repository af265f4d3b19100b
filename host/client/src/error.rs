//! What can go wrong for a client, and why a connection ended.

use std::io;
use std::time::Duration;

use duet_codec::EncodeError;
use tokio_tungstenite::tungstenite;

use crate::endpoint::Endpoint;
use crate::shown::Shown;

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
    /// Connection, TLS and upgrade together took longer than `dial_timeout`.
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
    /// What listens there does not speak HTTP, which a ws upgrade begins with.
    #[error("{endpoint} does not answer in HTTP, so it is not a ws listener; try tcp:// or tls://, or wss:// for ws inside of TLS")]
    NotWs {
        /// Where the client wanted to go.
        endpoint: Endpoint,
        /// How that showed.
        source: Box<tungstenite::Error>,
    },
    /// What listens there does not speak TLS, or ended the handshake without a word.
    #[error("{endpoint} does not answer in TLS; for a listener without TLS use tcp:// or ws://")]
    NotTls {
        /// Where the client wanted to go.
        endpoint: Endpoint,
        /// How that showed.
        source: io::Error,
    },
    /// The certificates to trust cannot be used.
    #[error("TLS cannot be set up: {0}")]
    Trust(String),
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
    #[error("refused with code {code}: {}", Shown(message))]
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
    /// There is no session to resume: none was opened, or it was taken.
    #[error("there is no session; open one first")]
    NoSession,
    /// The server no longer knows the session: log in again.
    #[error("the session is gone; log in again")]
    SessionGone,
    /// The server went on with the session, but it lacks messages that are no longer kept.
    #[error("{lost} messages are lost: the server did not get them, and they are no longer kept")]
    SessionGap {
        /// How many messages.
        lost: u64,
    },
    /// The answer about the session is not valid.
    #[error("the answer about the session is not understood")]
    SessionAnswer,
}

impl ClientError {
    /// Whether there was no connection on which a question could have been asked.
    pub(crate) fn is_of_dialling(&self) -> bool {
        matches!(self, Self::Dial { .. } | Self::DialTimeout { .. } | Self::Upgrade { .. } | Self::NotWs { .. } | Self::NotTls { .. })
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer ended the stream without a word.
    #[error("the server ended the stream")]
    EndOfStream,
    /// The peer sent a ws close frame.
    #[error("the server closed with {code} {}", Shown(reason))]
    CloseFrame {
        /// The close code; 1005 if the frame had none.
        code: u16,
        /// The text of the close frame; may be empty.
        reason: String,
    },
    /// The peer sent something that is not a packet of this format.
    #[error("the server broke the format: {}", Shown(.0))]
    Malformed(String),
    /// The peer's first bytes are those of another protocol.
    #[error("{0}")]
    Foreign(Foreign),
    /// Reading or writing failed, for example a reset.
    #[error("{0}")]
    Io(String),
    /// Nothing was received for `silence_timeout`.
    #[error("the server was silent for too long")]
    Silent,
    /// The peer did not take a packet within `write_timeout`.
    #[error("the server stopped reading")]
    WriteTimeout,
    /// The server is stopping; the session, if any, goes with it.
    #[error("the server is going away{}", retry_text(*.retry_after))]
    GoingAway {
        /// How long the server asks to wait before connecting again.
        retry_after: Option<Duration>,
    },
    /// The game threw this client out.
    #[error("kicked: {}", Shown(.0))]
    Kicked(String),
    /// The account logged in on another connection.
    #[error("replaced by another login")]
    Replaced,
    /// The server said why in an error packet with another code: its own, or one that the game kicks with.
    #[error("the server ended it with code {code}: {}", Shown(message))]
    Refused {
        /// The error code.
        code: u16,
        /// The text; may be empty.
        message: String,
    },
    /// This side closed.
    #[error("closed by this side")]
    Local,
}

/// What a peer speaks instead of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// A ws listener, or any web server.
    #[error("the server answers in HTTP, so it is not a tcp listener; try ws:// or wss://")]
    Http,
    /// A listener with TLS.
    #[error("the server answers in TLS; try tls:// or wss://")]
    Tls,
}

impl Foreign {
    /// Recognised by the first bytes: no packet within any limit begins like that.
    pub(crate) fn of_first_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'H', b'T', b'T', b'P', b'/', ..] => Some(Self::Http),
            // An alert or an answer to a handshake, in any version since SSL 3.
            [0x15 | 0x16, 3, 0..=4, ..] => Some(Self::Tls),
            _ => None,
        }
    }
}

impl CloseReason {
    /// The ws close code of the peer, if it sent one and nothing more telling.
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::CloseFrame { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the session ended with the connection: the server said so.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::GoingAway { .. } | Self::Kicked(_) | Self::Replaced | Self::Refused { .. })
    }

    /// What an error packet on route 0 with seq 0 says about the end that follows it. `None` if it is not such a farewell.
    pub(crate) fn of_farewell(code: u16, message: &str) -> Option<Self> {
        match code {
            NOT_AUTHORIZED | BUSY | CODE_OF_PLUGINS.. => Some(Self::Refused { code, message: message.to_owned() }),
            GOING_AWAY => Some(Self::GoingAway { retry_after: retry_after(message) }),
            KICKED => Some(Self::Kicked(message.to_owned())),
            REPLACED => Some(Self::Replaced),
            _ => None,
        }
    }
}

const NOT_AUTHORIZED: u16 = 4;
const BUSY: u16 = 5;
const GOING_AWAY: u16 = 10;
/// The answer to a token that is no longer good.
pub(crate) const SESSION_GONE: u16 = 11;
const KICKED: u16 = 12;
const REPLACED: u16 = 14;
/// Codes from here on are the game's, which it kicks with.
const CODE_OF_PLUGINS: u16 = 1_000;

fn retry_after(message: &str) -> Option<Duration> {
    let (_, behind) = message.split_once("retry-after-ms=")?;
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_millis)
}

fn retry_text(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |time| format!("; connect again in {} ms", time.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_speaks_is_told_by_its_first_bytes() {
        for (bytes, foreign) in [
            (b"HTTP/1.1 400 Bad Request".as_slice(), Some(Foreign::Http)),
            (b"\x15\x03\x03\x00\x02\x02\x46", Some(Foreign::Tls)),
            (b"HTTP", None),
            (b"\x15\x03", None),
            (b"\x00\x00\x00\x05hello", None),
            (b"", None),
        ] {
            assert_eq!(Foreign::of_first_bytes(bytes), foreign, "{bytes:?}");
        }
    }

    #[test]
    fn texts_of_a_server_do_not_steer_the_terminal_and_keep_their_quotes() {
        let text = || "it's \"over\"\u{1b}[2J".to_owned();
        let shown = "it's \"over\"\\u{1b}[2J";
        for said in [
            CloseReason::Kicked(text()).to_string(),
            CloseReason::Refused { code: 1_000, message: text() }.to_string(),
            CloseReason::CloseFrame { code: 4_001, reason: text() }.to_string(),
            CloseReason::Malformed(text()).to_string(),
            ClientError::Refused { code: 1_000, message: text() }.to_string(),
        ] {
            assert!(said.ends_with(shown), "{said}");
        }
    }

    #[test]
    fn farewells_are_told_by_their_code() {
        let going = CloseReason::of_farewell(10, "going away; retry-after-ms=1500").unwrap();
        assert_eq!(going, CloseReason::GoingAway { retry_after: Some(Duration::from_millis(1_500)) });
        assert_eq!(going.to_string(), "the server is going away; connect again in 1500 ms");
        for text in ["going away", "retry-after-ms=", "retry-after-ms=99999999999999999999"] {
            assert_eq!(CloseReason::of_farewell(10, text), Some(CloseReason::GoingAway { retry_after: None }), "{text}");
        }
        assert_eq!(CloseReason::of_farewell(12, "cheater"), Some(CloseReason::Kicked("cheater".to_owned())));
        assert_eq!(CloseReason::of_farewell(14, "replaced"), Some(CloseReason::Replaced));
        for code in [4, 5, 1_000, u16::MAX] {
            assert!(matches!(CloseReason::of_farewell(code, "x"), Some(CloseReason::Refused { code: c, .. }) if c == code));
        }
        assert_eq!(CloseReason::of_farewell(3, "unknown route"), None);
    }
}
