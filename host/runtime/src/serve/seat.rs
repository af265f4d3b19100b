//! A seat: what of a plugin stays when its code is replaced.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use duet_core::{Mutex, Request, Route};

use crate::options::Affinity;
use crate::serve::inbox::Inbox;
use crate::serve::record::Record;

/// What a slot holds as long as it serves.
pub(crate) type Serving = SyncSender<Infallible>;

/// How many seats there have been.
static SEATS: AtomicI32 = AtomicI32::new(0);

/// A name, and a queue for each instance.
pub(crate) struct Seat {
    pub(crate) name: Arc<str>,
    /// What the copy of an event for this seat has as its route while the gateway keeps it: events have no route of their own. No other
    /// seat has the same, not even later, and none has 0.
    pub(crate) mark: Route,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    /// Another one would send the messages of a key to another instance, which overtakes.
    pub(crate) affinity: Affinity,
    next: AtomicUsize,
    /// Each slot has a copy of the sender; nothing is ever sent.
    serving: Mutex<(Option<Serving>, Receiver<Infallible>)>,
    /// What became of its versions. Locked for moments; taken after the lock of the runtime under which versions are exchanged.
    pub(crate) record: Mutex<Record>,
}

impl Seat {
    pub(crate) fn new(name: &str, inboxes: Vec<Arc<Inbox>>, affinity: Affinity) -> Self {
        let (sender, receiver) = sync_channel(0);
        Self {
            name: name.into(),
            mark: Route(SEATS.fetch_add(1, Ordering::Relaxed).wrapping_add(1)),
            inboxes,
            affinity,
            next: AtomicUsize::new(0),
            serving: Mutex::new((Some(sender), receiver)),
            record: Mutex::default(),
        }
    }

    /// The queue of the instance that has to handle a request.
    #[inline]
    pub(crate) fn inbox_for(&self, request: &Request<'_>) -> Option<&Arc<Inbox>> {
        if let [only] = self.inboxes.as_slice() {
            return Some(only);
        }
        let key = match (request.key, self.affinity) {
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

    /// Something that a slot of this seat holds until it ends.
    pub(crate) fn serving(&self) -> Option<Serving> {
        self.serving.lock().0.clone()
    }

    /// Waits until no slot serves any more. False if that takes longer.
    pub(crate) fn wait_until_served(&self, within: Duration) -> bool {
        let mut serving = self.serving.lock();
        serving.0 = None;
        matches!(serving.1.recv_timeout(within), Err(RecvTimeoutError::Disconnected))
    }

    /// Accepts nothing more; the instances end once what is there is handled.
    pub(crate) fn close(&self) {
        self.inboxes.iter().for_each(|inbox| inbox.close());
    }
}
