//! What waits for room in the queues of plugins: the requests and events of one session, in one order.
//!
//! It belongs to the session and not to the task that read it: after a resume the new task hands on first what the old one left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use duet_core::{Dispatch, Full, InFlight, Request, RequestKind, Requests, Route, Seq, Uid};

use super::Session;
use crate::lock::{Lock, Rank};

/// Events of a session that may wait. With so many, no bind, suspension or resume is possible, which would add another; its one
/// disconnect always is.
const EVENTS_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Waiting {
    list: Lock<List>,
    /// Something waits: to see that nothing does takes no lock.
    is_any: AtomicBool,
}

#[derive(Debug, Default)]
struct List {
    requests: Requests,
    /// Somebody hands the first of them on. Nobody else does meanwhile, or later ones would overtake. The lock is not held for that: what
    /// is refused is answered at once.
    is_handed_on: bool,
}

/// What became of what waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handed {
    All,
    /// There is no room for some. Whoever was to be woken is, once there is.
    Blocked,
    /// So many are left, because no more were allowed.
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
    pub(super) const fn new() -> Self {
        Self { list: Lock::new(Rank::Last, List { requests: Requests::new(), is_handed_on: false }), is_any: AtomicBool::new(false) }
    }

    fn add(&self, requests: Requests) {
        let mut list = self.list.lock();
        list.requests.append(requests);
        self.is_any.store(true, Ordering::Release);
    }

    fn events(&self) -> usize {
        self.list.lock().requests.iter().filter(|request| request.kind.is_event()).count()
    }

    /// Hands on the first, as many as `room` says.
    #[inline]
    fn hand_on(&self, room: impl FnOnce(&Requests) -> usize, dispatch: &dyn Dispatch, waker: &Waker) -> Handed {
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
}

impl Session {
    /// Keeps requests of one read until they are handed on, and counts the messages in it. False if the session goes on with another task:
    /// then they must not be handled, because the client was told that they did not arrive, and sends them again.
    pub(crate) fn take(&self, mut requests: Requests, messages: u64, task: u64) -> bool {
        // Only what can be resumed changes its owner. Under this lock it does not, so that requests which are counted wait in front of
        // those of the next owner.
        let outbox = self.retains().then(|| self.outbox());
        if outbox.is_some() {
            if !self.is_owned_by(task) {
                return false;
            }
            self.taken.fetch_add(messages, Ordering::AcqRel);
        }
        if !requests.is_empty() {
            self.task.take(requests.len());
            requests.depart(InFlight::new(Arc::clone(&self.task) as _, requests.len()));
            self.waiting.add(requests);
        }
        true
    }

    /// Hands on all that waits. False if some is left.
    pub(crate) fn hand_on(&self, owner: u64, dispatch: &dyn Dispatch, waker: &Waker) -> bool {
        let handed = self.waiting.hand_on(|_| usize::MAX, dispatch, waker);
        self.leave(owner);
        handed == Handed::All
    }

    /// Hands on what waits, as many requests as may be in flight; none while the client does not read. False if some is left. The task is
    /// woken when more of it can go on.
    pub(crate) fn hand_on_some(&self, owner: u64, is_full: bool, dispatch: &dyn Dispatch, waker: &Waker) -> bool {
        let most = self.limits.requests;
        loop {
            let room = |waiting: &Requests| match is_full {
                true => waiting.iter().take_while(|request| request.kind.is_event()).count(),
                // What waits is counted already.
                false => (most + waiting.len()).saturating_sub(self.task.in_flight()),
            };
            let handed = self.waiting.hand_on(room, dispatch, waker);
            self.leave(owner);
            match handed {
                Handed::All => return true,
                Handed::Left(count) if !is_full && self.wait_for_requests(most / 2 + count, owner) => {}
                Handed::Left(_) | Handed::Blocked => return false,
            }
        }
    }

    /// A task that is not the owner any more may have been in the owner's way.
    fn leave(&self, owner: u64) {
        if !self.is_owned_by(owner) {
            self.task.wake();
        }
    }

    /// Whether one more event may wait, beside the one that tells of the end.
    pub(crate) fn has_room_for_event(&self) -> bool {
        self.waiting.events() < EVENTS_MAX
    }

    /// The same for a resume, which also brings the events of the session that asks for it.
    pub(crate) fn has_room_for_events_of(&self, by: &Self) -> bool {
        self.waiting.events() + by.waiting.events() < EVENTS_MAX
    }

    /// Notes an event. The task of its connection hands it on, behind what was read before and before what it reads later.
    pub(crate) fn event(&self, kind: RequestKind, uid: Option<Uid>, body: &str) {
        let mut event = Requests::new();
        event.push(&Request { kind, conn: self.id, uid, route: Route(0), seq: Seq(0), body: body.as_bytes() });
        self.waiting.add(event);
        self.task.wake();
    }

    /// Gives up what nobody has got: so many messages and so many events.
    pub(crate) fn forget_waiting(&self) -> (u64, u64) {
        let waiting = std::mem::take(&mut self.waiting.list.lock().requests);
        waiting.iter().fold((0, 0), |(messages, events), request| match request.kind.is_event() {
            true => (messages, events + 1),
            false => (messages + 1, events),
        })
    }

    /// Gives what nobody has got yet to another session, behind what waits there.
    pub(crate) fn move_waiting(&self, to: &Self) {
        let waiting = std::mem::take(&mut self.waiting.list.lock().requests);
        to.waiting.add(waiting);
    }
}
