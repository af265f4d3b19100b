//! What a handler wants to happen.

use crate::{ConnId, ErrorCode, Route, Seq};

/// One thing that reaches a client. A gate applies the effects of a call in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// A message: a reply has the request's route and seq, a push [`Seq::PUSH`].
    Send {
        /// Whom it is for; nothing happens if the connection is gone.
        conn: ConnId,
        /// Route of the message.
        route: Route,
        /// Sequence number of the message.
        seq: Seq,
        /// Body as the client gets it.
        body: &'a [u8],
    },
    /// An error packet in answer to a request.
    Refuse {
        /// Who asked.
        conn: ConnId,
        /// Route of the request.
        route: Route,
        /// Sequence number of the request.
        seq: Seq,
        /// Why.
        code: ErrorCode,
        /// More for people; may be empty.
        message: &'a str,
    },
}

impl Effect<'_> {
    /// The connection this effect reaches.
    pub const fn conn(&self) -> ConnId {
        match self {
            Self::Send { conn, .. } | Self::Refuse { conn, .. } => *conn,
        }
    }
}
