//! What to send, to whom, and for how long.

use std::time::Duration;

use duet_client::Endpoint;
use duet_codec::Format;

use super::kcp::Loss;

/// What to send, to whom, and for how long.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The server.
    pub endpoint: Endpoint,
    /// Sizes, byte order and profile of the server's listener.
    pub format: Format,
    /// Connections opened. Default 50.
    pub connections: usize,
    /// Requests of one connection that wait for their answer at a time; 1 is a closed loop. Default 64.
    pub window: usize,
    /// The route of every request. Default 1.
    pub route: i32,
    /// The body of every request. Default [`LoadBody::Letters`] with 1,024.
    pub body: LoadBody,
    /// Whether an answer has to have the size of its request. Default true, as an echo gives it.
    pub same_size: bool,
    /// Time before anything is measured. Default 1 s.
    pub warm_up: Duration,
    /// Time that is measured, after the warm-up. Default 10 s.
    pub duration: Duration,
    /// How long the last answers are waited for when the time is over. Default 2 s.
    pub drain: Duration,
    /// How long one connection may take to open, with the ws upgrade. Default 3 s.
    pub dial_timeout: Duration,
    /// Datagrams that get lost, over kcp. Default none.
    pub loss: Loss,
}

impl LoadOptions {
    /// Options with the defaults named at each field.
    pub fn new(endpoint: Endpoint, format: Format) -> Self {
        Self {
            endpoint,
            format,
            connections: 50,
            window: 64,
            route: 1,
            body: LoadBody::Letters(1_024),
            same_size: true,
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(10),
            drain: Duration::from_secs(2),
            dial_timeout: Duration::from_secs(3),
            loss: Loss::default(),
        }
    }
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadBody {
    /// `{"message":"..."}` with this many letters, the frame of due's own load test.
    Letters(usize),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl LoadBody {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Letters(count) => r#"{"message":""}"#.len() + count,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Letters(count) => {
                let letters: String = ('a'..='z').chain('A'..='Z').cycle().take(*count).collect();
                format!("{{\"message\":\"{letters}\"}}").into_bytes()
            }
        }
    }
}
