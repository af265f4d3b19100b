//! A seat: what of a plugin stays when its code is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use duet_core::Request;

use crate::options::Affinity;
use crate::serve::inbox::Inbox;

/// A name, and a queue for each instance.
pub(crate) struct Seat {
    pub(crate) name: Arc<str>,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    next: AtomicUsize,
}

impl Seat {
    pub(crate) fn new(name: &str, inboxes: Vec<Arc<Inbox>>) -> Self {
        Self { name: name.into(), inboxes, next: AtomicUsize::new(0) }
    }

    /// The queue of the instance that has to handle a request.
    #[inline]
    pub(crate) fn inbox_for(&self, affinity: Affinity, request: &Request<'_>) -> Option<&Arc<Inbox>> {
        if let [only] = self.inboxes.as_slice() {
            return Some(only);
        }
        let key = match (request.key, affinity) {
            (Some(key), _) => key.0,
            (None, Affinity::Connection) => request.conn.0,
            (None, Affinity::Uid) => request.uid.map_or(request.conn.0, |u| u.0.cast_unsigned()),
            (None, Affinity::Any) => self.next.fetch_add(1, Ordering::Relaxed) as u64,
        };
        // Fibonacci hashing spreads consecutive ids evenly.
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.inboxes.get(hash as usize % self.inboxes.len().max(1))
    }

    /// Whether one of the queues is this one.
    pub(crate) fn has(&self, inbox: &Arc<Inbox>) -> bool {
        self.inboxes.iter().any(|own| Arc::ptr_eq(own, inbox))
    }

    /// Requests that were accepted and are not handled yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.inboxes.iter().map(|inbox| inbox.in_flight()).sum()
    }

    /// Accepts nothing more; the instances end once what is there is handled.
    pub(crate) fn close(&self) {
        self.inboxes.iter().for_each(|inbox| inbox.close());
    }
}
