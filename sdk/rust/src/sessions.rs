//! What the gate knows about connections.
//!
//! The answers are as of now: what this call does (bind, subscribe, ...) happens when it has returned and is not in them yet.

use std::net::SocketAddr;

use crate::host::sessions as host;
use crate::{Error, Result};

/// Where a uid is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Nobody is bound to it.
    Offline = 0,
    /// Its connection is there.
    Connected = 1,
    /// Its connection was lost, and may be resumed.
    Suspended = 2,
}

/// How many connections the gate has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All of them.
    pub connections: u64,
    /// Those that are bound to a uid.
    pub bound: u64,
    /// Those that were lost, and may be resumed.
    pub suspended: u64,
}

/// Where a uid is.
pub fn online(uid: i64) -> Presence {
    match host::online(uid) {
        1 => Presence::Connected,
        2 => Presence::Suspended,
        _ => Presence::Offline,
    }
}

/// The connection of a uid, if it has one.
pub fn conn_of(uid: i64) -> Option<u64> {
    Some(host::connection(uid)).filter(|conn| *conn != 0)
}

/// The uid of a connection. None if it is not bound, or gone.
pub fn uid_of(conn: u64) -> Option<i64> {
    Some(host::uid(conn)).filter(|uid| *uid != 0)
}

/// The remote address of a connection; behind a trusted proxy, that of its client.
///
/// # Errors
/// If the connection is gone.
pub fn address(conn: u64) -> Result<SocketAddr> {
    let text = host::address(conn).map_err(|()| Error::handler(format!("connection {conn} is gone")))?;
    Ok(text.parse()?)
}

/// How many connections there are.
pub fn counts() -> Counts {
    Counts { connections: host::count(0), bound: host::count(1), suspended: host::count(2) }
}

/// How many members a channel has, suspended ones included.
pub fn member_count(channel: &str) -> u64 {
    host::member_count(channel)
}

/// The first `max` members of a channel (at most 65,536), in no order.
pub fn members(channel: &str, max: u32) -> Vec<u64> {
    let list = host::members(channel, max);
    let (conns, _) = list.as_chunks();
    conns.iter().map(|conn| u64::from_le_bytes(*conn)).collect()
}
