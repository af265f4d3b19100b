//! What a session has read and nobody has got yet: taken, noted, handed on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use duet_core::{Dispatch, InFlight, Request, RequestKind, Requests, Route, Seq, Uid};

use super::Session;
use crate::waiting::Handed;

/// Events of a session that may wait. With this many, a bind, a suspension or a resume is refused, because it would add another; the one
/// disconnect never is.
const EVENTS_MAX: usize = 64;

impl Session {
    /// Keeps requests of one read until they are handed on, and counts the messages in it. False if the session goes on with another task:
    /// then they must not be handled, because the client was told that they did not arrive, and sends them again.
    pub(crate) fn take(&self, mut requests: Requests, messages: u64, task: u64) -> bool {
        // Only a session that can be resumed changes its owner, and not while this lock is held: so requests that are counted wait in front
        // of those of the next owner.
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

    /// Hands on what waits, as many requests as may be in flight; only events while the client does not read. False if some is left. The
    /// task is woken when more of it can go on.
    pub(crate) fn hand_on_some(&self, owner: u64, is_full: bool, dispatch: &dyn Dispatch, waker: &Waker) -> bool {
        let most = self.limits().requests;
        loop {
            let room = |waiting: &Requests| match is_full {
                true => waiting.iter().take_while(|request| request.kind.is_event()).count(),
                // What waits is already counted as in flight.
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

    /// A task that is no longer the owner may have been in the owner's way, which then has to try again.
    fn leave(&self, owner: u64) {
        if !self.is_owned_by(owner) {
            self.task.wake();
        }
    }

    /// Whether one more event may wait, besides the one that announces the end.
    pub(crate) fn has_room_for_event(&self) -> bool {
        self.waiting.events() < EVENTS_MAX
    }

    /// The same for a resume, which also brings the events of the session that asks for it.
    pub(crate) fn has_room_for_events_of(&self, by: &Self) -> bool {
        self.waiting.events() + by.waiting.events() < EVENTS_MAX
    }

    /// Notes an event. The task of its connection hands it on, after what it has read and before what it reads later.
    pub(crate) fn event(&self, kind: RequestKind, uid: Option<Uid>, body: &str) {
        let mut event = Requests::new();
        event.push(&Request { kind, conn: self.id, uid, route: Route(0), seq: Seq(0), key: None, body: body.as_bytes() });
        self.waiting.add(event);
        self.task.wake();
    }

    /// Gives up what nobody has got. Returns how many messages and how many events that is.
    pub(crate) fn forget_waiting(&self) -> (u64, u64) {
        let waiting = self.waiting.take();
        waiting.iter().fold((0, 0), |(messages, events), request| match request.kind.is_event() {
            true => (messages, events + 1),
            false => (messages + 1, events),
        })
    }

    /// Gives what nobody has got yet to another session, after what waits there.
    pub(crate) fn move_waiting(&self, to: &Self) {
        to.waiting.add(self.waiting.take());
    }
}
