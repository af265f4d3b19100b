//! Counters of a gate.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::CloseReason;

/// What a gate has seen since it was started.
#[derive(Debug, Default)]
pub struct Stats {
    closed: [AtomicU64; CloseReason::ALL.len()],
    accepted: AtomicU64,
    open: AtomicUsize,
}

impl Stats {
    pub(crate) fn close(&self, reason: CloseReason) {
        if let Some(counter) = self.closed.get(reason as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Connections that ended for a reason.
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed.get(reason as usize).map_or(0, |c| c.load(Ordering::Relaxed))
    }

    /// Connections that were accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections that are open, those that still shake hands included.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Takes a place if there is one below the limit.
    pub(crate) fn enter(&self, limit: usize) -> bool {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.try_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < limit).then_some(open + 1)).is_ok()
    }

    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
}
