//! The state of one connection.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use duet_codec::{Carrier, Format};
use tokio::sync::watch;

use super::ledger::Ledger;
use super::pending::Pending;
use crate::error::CloseReason;

/// What the handle and the two tasks of a connection share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) format: Format,
    pub(super) carrier: Carrier,
    pub(super) pending: Pending,
    ledger: Mutex<Ledger>,
    pub(super) end: watch::Sender<Option<CloseReason>>,
    pub(super) dropped: AtomicU64,
}

impl Shared {
    /// Of a connection that nothing has happened on. A session keeps so many packets to send them again.
    pub(super) fn new(format: Format, carrier: Carrier, session_packets_max: usize) -> Self {
        Self {
            format,
            carrier,
            pending: Pending::new(format.seq_max()),
            ledger: Mutex::new(Ledger::new(session_packets_max)),
            end: watch::Sender::new(None),
            dropped: AtomicU64::new(0),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection; the first reason stands, or what the server said in its last packet. Waiting requests are woken.
    pub(super) fn end(&self, reason: CloseReason) {
        let reason = self.ledger().take_farewell().unwrap_or(reason);
        self.end.send_if_modified(|end| {
            let first = end.is_none();
            end.get_or_insert(reason);
            first
        });
        self.pending.close();
    }
}
