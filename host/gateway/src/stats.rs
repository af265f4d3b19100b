//! Counters of a gate.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::CloseReason;
use crate::retained::Total;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What a gate refused, by cause.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[$doc])* $name,)*
        }

        impl Refusal {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Name in logs and counters.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

refusals! {
    /// A connection: its address has as many as it may have.
    AddressConnections = "address_connections";
    /// A connection: its address opens them too fast.
    AddressRate = "address_rate";
    /// A connection: too many addresses are connected.
    AddressTable = "address_table";
    /// A connection: too many handshakes are under way.
    Handshakes = "handshakes";
    /// A connection: memory is short.
    Memory = "memory";
    /// A message: the connection sends too many.
    MessageRate = "message_rate";
    /// A read that came too soon: the connection sends too many bytes, and is read later.
    ByteRate = "byte_rate";
    /// A message: memory is very short.
    Shed = "shed";
    /// A message: its body is longer than its route allows.
    Body = "body";
    /// A message: its route needs a uid, or is not for clients.
    NotAuthorized = "not_authorized";
    /// A message: nobody serves its route.
    UnknownRoute = "unknown_route";
    /// A login: the account is online elsewhere.
    DuplicateLogin = "duplicate_login";
    /// A session that could not be resumed.
    Resume = "resume";
    /// A subscription: one channel too many.
    Channel = "channel";
    /// A bind that a plugin may not make: the second of one request, one by a handler of the bind event, or one whose event finds no room.
    Bind = "bind";
    /// What was kept for a session, forgotten: all sessions together kept too much.
    Retained = "retained";
    /// A packet to a slow client: dropped, or replaced by a later one, as its route or channel says.
    Overflow = "overflow";
    /// A message or an event of a connection that had ended: the queue of its plugin stayed full.
    NoRoom = "no_room";
}

/// What a gate has seen since it was started.
#[derive(Debug)]
pub struct Stats {
    closed: [AtomicU64; CloseReason::ALL.len()],
    refused: [AtomicU64; Refusal::ALL.len()],
    accepted: AtomicU64,
    panics: AtomicU64,
    pub(crate) kept: Total,
    open: AtomicUsize,
    suspended: AtomicUsize,
    handshakes: AtomicUsize,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            closed: std::array::from_fn(|_| AtomicU64::new(0)),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            accepted: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            kept: Total::default(),
            open: AtomicUsize::new(0),
            suspended: AtomicUsize::new(0),
            handshakes: AtomicUsize::new(0),
        }
    }
}

impl Stats {
    pub(crate) fn close(&self, reason: CloseReason) {
        if let Some(counter) = self.closed.get(reason as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.refuse_all(refusal, 1);
    }

    /// The same for this many at once.
    pub(crate) fn refuse_all(&self, refusal: Refusal, count: u64) {
        if let Some(counter) = self.refused.get(refusal as usize) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Sessions that ended for a reason.
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed.get(reason as usize).map_or(0, |c| c.load(Ordering::Relaxed))
    }

    /// What was refused for a cause.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused.get(refusal as usize).map_or(0, |c| c.load(Ordering::Relaxed))
    }

    /// Connections that were accepted, including those that were turned away at once.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Panics that ended a connection, or a step of a loop.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(crate) fn panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Open connections, including those that still shake hands. Suspended sessions have none.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Open connections and suspended sessions: all that a gate has to end before it has stopped.
    pub(crate) fn alive(&self) -> usize {
        // In this order, a session that is suspended in between is not missed.
        self.open() + self.suspended.load(Ordering::Acquire)
    }

    pub(crate) fn suspend(&self) {
        self.suspended.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn leave_suspended(&self) {
        self.suspended.fetch_sub(1, Ordering::AcqRel);
    }

    /// Bytes that are kept for clients that may resume, including the overhead of each packet.
    pub fn kept_bytes(&self) -> usize {
        self.kept.bytes()
    }

    /// Takes a place if there is one below the limit.
    pub(crate) fn enter(&self, limit: usize) -> bool {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        enter(&self.open, limit)
    }

    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    /// Begins a handshake if there are fewer than the limit.
    pub(crate) fn enter_handshake(&self, limit: usize) -> bool {
        enter(&self.handshakes, limit)
    }

    pub(crate) fn leave_handshake(&self) {
        self.handshakes.fetch_sub(1, Ordering::AcqRel);
    }
}

fn enter(places: &AtomicUsize, limit: usize) -> bool {
    places.try_update(Ordering::AcqRel, Ordering::Acquire, |taken| (taken < limit).then_some(taken + 1)).is_ok()
}
