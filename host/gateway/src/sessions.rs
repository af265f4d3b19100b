//! All sessions of a gate by id, and the book of who they are.

use std::cmp::Reverse;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use duet_core::{ConnId, Counts, Directory, Presence, Registry, RequestKind, Uid};
use duet_session::Book;
use papaya::HashMap;

use crate::lock::{Held, Lock, Rank};
use crate::session::Session;
use crate::{CloseReason, GatewayOptions, Refusal, Stats};

/// The sessions of a gate: connected, or suspended.
pub struct Sessions {
    /// The map frees what was removed some time later. The sockets must not wait for that: only their tasks own them.
    pub(crate) map: HashMap<ConnId, Weak<Session>>,
    pub(crate) options: GatewayOptions,
    pub(crate) stats: Stats,
    book: Lock<Book>,
    next_conn: AtomicU64,
    last_call: AtomicU64,
    registry: OnceLock<Arc<dyn Registry>>,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(options: GatewayOptions) -> Self {
        Self {
            map: HashMap::new(),
            book: Lock::new(Rank::Book, Book::new(options.sessions)),
            next_conn: AtomicU64::new(options.first_conn.get()),
            options,
            stats: Stats::default(),
            last_call: AtomicU64::new(0),
            registry: OnceLock::new(),
        }
    }

    /// Counters of the gate.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Where to look up who wants events.
    pub(crate) fn set_registry(&self, registry: Arc<dyn Registry>) {
        drop(self.registry.set(registry));
    }

    pub(crate) fn next_id(&self) -> ConnId {
        ConnId::new(self.options.gate, self.next_conn.fetch_add(1, Ordering::Relaxed))
    }

    /// A number for a call whose effects are applied.
    pub(crate) fn next_call(&self) -> u64 {
        self.last_call.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn book(&self) -> Held<'_, Book> {
        self.book.lock()
    }

    pub(crate) fn find(&self, id: ConnId) -> Option<Arc<Session>> {
        self.map.pin().get(&id).and_then(Weak::upgrade)
    }

    pub(crate) fn insert(&self, session: &Arc<Session>) {
        self.map.pin().insert(session.id, Arc::downgrade(session));
        self.book().open(session.id);
        self.event(session, RequestKind::Connect, None, session.address());
    }

    /// False if it was not there.
    pub(crate) fn remove(&self, id: ConnId) -> bool {
        self.map.pin().remove(&id).is_some()
    }

    /// Notes an event of a session, if a plugin wants it.
    pub(crate) fn event(&self, session: &Session, kind: RequestKind, uid: Option<Uid>, body: impl Display) {
        if self.registry.get().is_some_and(|registry| registry.routes().wants(kind)) {
            session.event(kind, uid, &body.to_string());
        }
    }

    /// All sessions, connected or suspended.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.map.pin().values().filter_map(Weak::upgrade).collect()
    }

    /// Whether everything that clients asked for is done. A client that does not read may wait for ever, so it does not count.
    pub(crate) fn are_answered(&self) -> bool {
        self.all().iter().all(|session| session.task.in_flight() == 0 || session.outbox().is_blocked())
    }

    /// Lets the sessions that keep the most for their clients forget it, if all together keep too much. A client that missed nothing can
    /// still resume; any other is told `session gone`.
    pub(crate) fn bound_retained(&self) {
        let max = self.options.resume_bytes_total;
        if self.stats.kept_bytes() <= max {
            return;
        }
        let cost = |session: &Arc<Session>| session.outbox().retained().map_or(0, |retained| retained.cost());
        let mut most: Vec<_> = self.all().into_iter().map(|session| (cost(&session), session)).collect();
        most.sort_unstable_by_key(|(cost, _)| Reverse(*cost));
        for (_, session) in most {
            // A little more than it must, so that not every call has to do this.
            if self.stats.kept_bytes() <= max - max / 8 {
                return;
            }
            if let Some(retained) = session.outbox().retained() {
                retained.forget();
                self.stats.refuse(Refusal::Retained);
            }
        }
    }

    /// The client of a session has said that it is done. Nothing, if the session goes on with another task than the one that heard it.
    pub(crate) fn part(&self, session: &Session, owner: u64) {
        let mut book = self.book();
        if session.is_owned_by(owner) {
            // Bound -> Draining: nobody can resume it while the last answers are on their way.
            book.drain(session.id);
        }
    }

    /// Closes a session that a login elsewhere replaced.
    pub(crate) fn replace(&self, id: ConnId) {
        if let Some(old) = self.find(id) {
            old.close(CloseReason::Replaced, "");
        }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new(GatewayOptions::default())
    }
}

impl Directory for Sessions {
    fn presence(&self, uid: Uid) -> Presence {
        self.book().online(uid)
    }

    fn conn_of(&self, uid: Uid) -> Option<ConnId> {
        self.book().conn_of(uid)
    }

    fn uid_of(&self, conn: ConnId) -> Option<Uid> {
        self.book().uid_of(conn)
    }

    fn address(&self, conn: ConnId) -> Option<SocketAddr> {
        self.find(conn).map(|session| session.address())
    }

    fn counts(&self) -> Counts {
        let counts = self.book().counts();
        Counts { connections: counts.connected, bound: counts.bound, suspended: counts.suspended }
    }

    fn member_count(&self, channel: &str) -> usize {
        self.book().member_count(channel)
    }

    fn members(&self, channel: &str, max: usize) -> Vec<ConnId> {
        self.book().members(channel).take(max).collect()
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("open", &self.stats.open()).finish_non_exhaustive()
    }
}
