//! What waits for room in the queues of plugins: the requests and events of one session, in one order.
//!
//! It belongs to the session and not to the task that read it: after a resume the new task hands on first what the old one left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use duet_core::{Dispatch, Full, Requests};

use crate::lock::{Lock, Rank};

#[derive(Debug)]
pub(crate) struct Waiting {
    list: Lock<List>,
    /// Whether something waits, so that it takes no lock to see that nothing does.
    is_any: AtomicBool,
}

#[derive(Debug, Default)]
struct List {
    requests: Requests,
    /// Somebody is handing on the first of them. Nobody else does meanwhile, or later ones would overtake them. The lock is not held for
    /// that: what is refused is answered at once, which takes locks that come earlier in the order.
    is_handed_on: bool,
}

/// What became of what waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    All,
    /// There is no room for some, or somebody else is handing on. The task is woken when it is worth trying again.
    Blocked,
    /// This many are left, because no more were allowed.
    Left(usize),
}

/// Ends the handing on, whatever becomes of it: what found no room waits in front of what came meanwhile.
struct Handing<'a> {
    waiting: &'a Waiting,
    left: Requests,
}

impl Drop for Handing<'_> {
    fn drop(&mut self) {
        let mut list = self.waiting.list.lock();
        list.is_handed_on = false;
        let later = std::mem::replace(&mut list.requests, std::mem::take(&mut self.left));
        list.requests.append(later);
        self.waiting.is_any.store(!list.requests.is_empty(), Ordering::Release);
    }
}

impl Waiting {
    pub(crate) const fn new() -> Self {
        Self { list: Lock::new(Rank::Last, List { requests: Requests::new(), is_handed_on: false }), is_any: AtomicBool::new(false) }
    }

    pub(crate) fn add(&self, requests: Requests) {
        let mut list = self.list.lock();
        list.requests.append(requests);
        self.is_any.store(true, Ordering::Release);
    }

    pub(crate) fn events(&self) -> usize {
        self.list.lock().requests.iter().filter(|request| request.kind.is_event()).count()
    }

    /// Hands on the first, as many as `room` says.
    #[inline]
    pub(crate) fn hand_on(&self, room: impl FnOnce(&Requests) -> usize, dispatch: &dyn Dispatch, waker: &Waker) -> Handed {
        if !self.is_any.load(Ordering::Acquire) {
            return Handed::All;
        }
        let mut list = self.list.lock();
        if list.is_handed_on {
            return Handed::Blocked;
        }
        let (room, count) = (room(&list.requests), list.requests.len());
        if room == 0 && count > 0 {
            return Handed::Left(count);
        }
        let later = if room < count { list.requests.split_off(room) } else { Requests::new() };
        let first = std::mem::replace(&mut list.requests, later);
        list.is_handed_on = true;
        drop(list);
        let mut handing = Handing { waiting: self, left: Requests::new() };
        match dispatch.dispatch(first, waker) {
            Ok(()) if room < count => Handed::Left(count - room),
            Ok(()) => Handed::All,
            Err(Full(left)) => {
                handing.left = left;
                Handed::Blocked
            }
        }
    }

    /// Takes all that waits.
    pub(crate) fn take(&self) -> Requests {
        std::mem::take(&mut self.list.lock().requests)
    }
}
