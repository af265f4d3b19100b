//! The connections of a stand-in: those that a test declares.

use std::collections::{BTreeMap, HashMap};

use super::STAND_IN;
use crate::{Event, EventKind};

/// What a gate would know.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    pub(crate) connections: BTreeMap<u64, Session>,
    pub(crate) channels: HashMap<String, Vec<u64>>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) uid: i64,
    pub(crate) address: String,
    pub(crate) suspended: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self { uid: 0, address: "192.0.2.1:1000".to_owned(), suspended: false }
    }
}

impl Sessions {
    /// Notes the sender: whoever sends is connected.
    pub(crate) fn sends(&mut self, conn: u64, uid: i64) {
        self.connections.entry(conn).or_default().uid = uid;
    }

    /// The same for an event, with what the event changes.
    pub(crate) fn happens(&mut self, conn: u64, uid: i64, event: Event<'_>) {
        if event.kind == EventKind::Disconnect {
            self.connections.remove(&conn);
            return;
        }
        self.sends(conn, uid);
        let session = self.connections.entry(conn).or_default();
        session.suspended = event.kind == EventKind::Suspend;
        if matches!(event.kind, EventKind::Connect | EventKind::Resume) {
            session.address = event.detail.to_owned();
        }
    }

    fn of_uid(&self, uid: i64) -> Option<(u64, &Session)> {
        self.connections.iter().map(|(conn, session)| (*conn, session)).find(|(_, session)| uid != 0 && session.uid == uid)
    }
}

pub(crate) fn online(uid: i64) -> u32 {
    look_up(|sessions| sessions.of_uid(uid).map_or(0, |(_, session)| if session.suspended { 2 } else { 1 }))
}

pub(crate) fn connection(uid: i64) -> u64 {
    look_up(|sessions| sessions.of_uid(uid).map_or(0, |(conn, _)| conn))
}

pub(crate) fn uid(conn: u64) -> i64 {
    look_up(|sessions| sessions.connections.get(&conn).map_or(0, |session| session.uid))
}

pub(crate) fn address(conn: u64) -> Result<String, ()> {
    look_up(|sessions| sessions.connections.get(&conn).map(|session| session.address.clone())).ok_or(())
}

pub(crate) fn count(what: u32) -> u64 {
    let counted = |session: &&Session| match what {
        0 => true,
        1 => session.uid != 0,
        2 => session.suspended,
        _ => false,
    };
    look_up(|sessions| sessions.connections.values().filter(counted).count() as u64)
}

pub(crate) fn member_count(channel: &str) -> u64 {
    look_up(|sessions| sessions.channels.get(channel).map_or(0, Vec::len) as u64)
}

pub(crate) fn members(channel: &str, max: u32) -> Vec<u8> {
    let first = |members: &Vec<u64>| members.iter().take(max.min(65_536) as usize).flat_map(|conn| conn.to_le_bytes()).collect();
    look_up(|sessions| sessions.channels.get(channel).map(first).unwrap_or_default())
}

fn look_up<T: Default>(answer: impl FnOnce(&Sessions) -> T) -> T {
    STAND_IN.with_borrow(|host| host.as_ref().map(|host| answer(&host.sessions)).unwrap_or_default())
}
