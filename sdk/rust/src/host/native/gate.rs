//! The gate of a stand-in: the connections that a test declares.

use std::collections::{BTreeMap, HashMap};

use crate::{Event, EventKind};

/// What a gate would know.
#[derive(Debug, Default)]
pub(crate) struct Gate {
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

impl Gate {
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

    pub(super) fn of_uid(&self, uid: i64) -> Option<(u64, &Session)> {
        self.connections.iter().map(|(conn, session)| (*conn, session)).find(|(_, session)| uid != 0 && session.uid == uid)
    }
}
