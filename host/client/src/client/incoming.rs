//! What a server sends.

use std::time::Duration;

use bytes::Bytes;

/// An answer: a packet with the route and the seq of what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The route of the request.
    pub route: i32,
    /// The seq of the request.
    pub seq: i32,
    /// What the handler answered.
    pub body: Bytes,
}

/// What a server sent that no [`Client::request`](crate::Client::request) was waiting for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A packet with seq 0.
    Push {
        /// The route it is for.
        route: i32,
        /// Its content.
        body: Bytes,
    },
    /// An answer to [`Client::send`](crate::Client::send), or one that came after its request timed out.
    Reply(Reply),
    /// An error packet.
    Error {
        /// The route that failed.
        route: i32,
        /// The seq of what failed.
        seq: i32,
        /// The error code.
        code: u16,
        /// The text, may be empty.
        message: String,
    },
    /// A heartbeat of the server.
    Heartbeat {
        /// The server's clock since the Unix epoch, if it sends it.
        time: Option<Duration>,
    },
    /// A packet with an extcode that has no meaning yet.
    Unknown {
        /// The low seven bits of the header.
        extcode: u8,
        /// Its route.
        route: i32,
        /// Its seq.
        seq: i32,
        /// Its content.
        body: Bytes,
    },
}
