//! What a handler wants to happen.

use crate::{ConnId, ErrorCode, Request, RequestKind, Route, Seq, Uid};

/// One thing that is to happen at a gate. A gate applies the effects of a call in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect<'a> {
    /// The request it belongs to.
    pub origin: Origin,
    /// What is to happen.
    pub action: Action<'a>,
}

/// A request of a call: where its effects come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its index among the requests of the call. In everything else, two requests may be alike.
    pub index: u32,
    /// What it came from.
    pub source: Source,
}

/// What a request came from, with what is needed to answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A message of a client, which is answered.
    Client {
        /// Who asked.
        conn: ConnId,
        /// Route of the message.
        route: Route,
        /// Sequence number of the message.
        seq: Seq,
    },
    /// An event of a connection. It has no answer.
    Event {
        /// The connection.
        conn: ConnId,
        /// The kind of event.
        kind: RequestKind,
    },
}

impl Source {
    /// What this request came from.
    #[inline]
    pub const fn of(request: &Request<'_>) -> Self {
        let Request { conn, route, seq, kind, .. } = *request;
        match kind {
            RequestKind::Message => Self::Client { conn, route, seq },
            RequestKind::Connect | RequestKind::Bind | RequestKind::Disconnect | RequestKind::Suspend | RequestKind::Resume => {
                Self::Event { conn, kind }
            }
        }
    }

    /// The request without uid, key and body: all that an effect has to carry to a process that does not see its request.
    pub const fn request(self) -> Request<'static> {
        let (kind, conn, route, seq) = match self {
            Self::Client { conn, route, seq } => (RequestKind::Message, conn, route, seq),
            Self::Event { conn, kind } => (kind, conn, Route(0), Seq(0)),
        };
        Request { kind, conn, uid: None, route, seq, key: None, body: &[] }
    }

    /// The connection it came from.
    #[inline]
    pub const fn conn(self) -> ConnId {
        match self {
            Self::Client { conn, .. } | Self::Event { conn, .. } => conn,
        }
    }

    /// Whether somebody waits for an answer.
    #[inline]
    pub const fn is_answered(self) -> bool {
        matches!(self, Self::Client { .. })
    }
}

/// What is to happen. A target that no longer exists is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Answers the request.
    Reply(&'a [u8]),
    /// Answers the request with an error packet; the text is for people and may be empty.
    Error(ErrorCode, &'a str),
    /// Sends a message with [`Seq::PUSH`].
    Push {
        /// To whom.
        to: Target,
        /// Route of the message.
        route: Route,
        /// Body as the client gets it.
        body: &'a [u8],
    },
    /// Sends one message to many.
    Multicast {
        /// To whom.
        to: Targets<'a>,
        /// Route of the message.
        route: Route,
        /// Body as the clients get it.
        body: &'a [u8],
    },
    /// Sends one message to all connections of the gate.
    Broadcast {
        /// Only to those that are bound to a uid.
        bound_only: bool,
        /// Route of the message.
        route: Route,
        /// Body as the clients get it.
        body: &'a [u8],
    },
    /// Sends one message to all members of a channel.
    Publish {
        /// The channel.
        channel: &'a str,
        /// Route of the message.
        route: Route,
        /// Body as the clients get it.
        body: &'a [u8],
    },
    /// Makes a connection a member of a channel.
    Subscribe(Target, &'a str),
    /// Ends the membership; an empty name means all channels.
    Unsubscribe(Target, &'a str),
    /// Binds a connection to a uid: the plugin vouches for it.
    Bind(ConnId, Uid),
    /// Takes the uid from a connection.
    Unbind(Target),
    /// Closes a connection.
    Kick {
        /// Whose connection.
        who: Target,
        /// Code of the error packet it gets.
        code: ErrorCode,
        /// Text of the error packet.
        text: &'a str,
        /// Sends no error packet, and drops what is still waiting to be written.
        at_once: bool,
    },
}

impl Action<'_> {
    /// Whether it answers its request.
    #[inline]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Reply(_) | Self::Error(..))
    }
}

/// A connection, named by its own id or by the uid it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The connection.
    Conn(ConnId),
    /// The connection of this uid.
    Uid(Uid),
}

/// A list of targets: all connections, or all uids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets<'a> {
    /// u64 each, little endian.
    ids: &'a [u8],
    uids: bool,
}

impl<'a> Targets<'a> {
    /// Ids as a plugin wrote them, u64 each, little endian; `uids` if they are uids. Bytes left over at the end are ignored.
    pub const fn new(ids: &'a [u8], uids: bool) -> Self {
        Self { ids, uids }
    }

    /// The ids as bytes, and whether they are uids.
    pub const fn parts(&self) -> (&'a [u8], bool) {
        (self.ids, self.uids)
    }

    /// The targets in order.
    pub fn iter(&self) -> impl Iterator<Item = Target> + use<'a> {
        let uids = self.uids;
        self.ids.chunks_exact(8).filter_map(|id| id.first_chunk()).map(move |id| Target::new(u64::from_le_bytes(*id), uids))
    }
}

impl Target {
    pub(crate) const fn new(id: u64, uid: bool) -> Self {
        if uid { Self::Uid(Uid(id.cast_signed())) } else { Self::Conn(ConnId(id)) }
    }
}
