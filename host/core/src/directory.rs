//! The port of look-ups: what a gate knows of its connections.

use std::net::SocketAddr;

use crate::{ConnId, Uid};

/// Where an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Bound to no connection.
    Offline,
    /// Bound to a connection that is open.
    Connected,
    /// Its connection was lost and may be resumed.
    Suspended,
}

/// How many connections and sessions there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Open connections, bound or not. Suspended sessions are not among them.
    pub connections: usize,
    /// Those that are bound to a uid.
    pub bound: usize,
    /// Sessions whose connection was lost and may be resumed.
    pub suspended: usize,
}

/// Answers what plugins ask about connections: the gate of this process, or the link to others. An answer holds for the moment it is given.
pub trait Directory: Send + Sync {
    /// Where an account is.
    fn presence(&self, uid: Uid) -> Presence;

    /// The connection of an account.
    fn conn_of(&self, uid: Uid) -> Option<ConnId>;

    /// The account of a connection.
    fn uid_of(&self, conn: ConnId) -> Option<Uid>;

    /// Remote address of a connection; behind a trusted proxy, that of its client.
    fn address(&self, conn: ConnId) -> Option<SocketAddr>;

    /// How many connections there are.
    fn counts(&self) -> Counts;

    /// How many members a channel has.
    fn member_count(&self, channel: &str) -> usize;

    /// At most `max` members of a channel, in no particular order.
    fn members(&self, channel: &str, max: usize) -> Vec<ConnId>;
}
