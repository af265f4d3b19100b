//! All connections of a gate by id, and the effects that reach them.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use duet_core::{ConnId, Effect, Egress, ErrorCode};
use papaya::HashMap;

use crate::connection::Connection;
use crate::{CloseReason, Stats};

/// Memory that a thread keeps for encoding between batches.
const SCRATCH_BYTES: usize = 256 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The connections of a gate.
#[derive(Debug, Default)]
pub struct Connections {
    /// The map frees what was removed some time later. The sockets must not wait for that: only their tasks own them.
    map: HashMap<ConnId, Weak<Connection>>,
    last_id: AtomicU64,
    stats: Stats,
}

impl Connections {
    /// Counters of the gate.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    pub(crate) fn next_id(&self) -> ConnId {
        ConnId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn insert(&self, connection: &Arc<Connection>) {
        self.map.pin().insert(connection.id, Arc::downgrade(connection));
    }

    pub(crate) fn remove(&self, id: ConnId) {
        self.map.pin().remove(&id);
    }

    pub(crate) fn close_all(&self, reason: CloseReason) {
        for connection in self.map.pin().values().filter_map(Weak::upgrade) {
            connection.close(reason, "");
        }
    }

    fn apply_into(&self, effects: &[Effect<'_>], out: &mut Vec<u8>) {
        let map = self.map.pin();
        for run in effects.chunk_by(|a, b| a.conn() == b.conn()) {
            let Some(connection) = run.first().and_then(|e| map.get(&e.conn())).and_then(Weak::upgrade) else { continue };
            out.clear();
            let packets: usize = run.iter().map(|effect| encode(&connection, effect, out)).sum();
            connection.send(out, packets);
        }
    }
}

impl Egress for Connections {
    fn apply(&self, effects: &[Effect<'_>]) {
        SCRATCH.with_borrow_mut(|out| {
            self.apply_into(effects, out);
            out.shrink_to(SCRATCH_BYTES);
        });
    }
}

/// Appends the packet of an effect. Returns how many packets that made.
fn encode(connection: &Connection, effect: &Effect<'_>, out: &mut Vec<u8>) -> usize {
    let profile = &connection.profile;
    match *effect {
        Effect::Refuse { route, seq, code, message, .. } => profile.error(route, seq, code, message, out),
        Effect::Send { conn, route, seq, body } => match profile.message(route, seq, body, out) {
            Ok(()) => 1,
            Err(error) => {
                tracing::warn!(%conn, %route, "a message of a plugin cannot be sent: {error}");
                profile.error(route, seq, ErrorCode::TOO_LARGE, ErrorCode::TOO_LARGE.text(), out)
            }
        },
    }
}
