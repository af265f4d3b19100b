//! From effects to packets: each is encoded once for each wire format, and each client is written to once for each call.

mod bind;
mod spread;
mod standing;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use duet_core::{Action, CALL_REQUESTS_MAX, ConnId, Effect, Egress, ErrorCode, Origin, Route, Seq, Source, Target};
use duet_session::Book;

use crate::outbox::{Cause, Taken};
use crate::profile::Profile;
use crate::session::Session;
use crate::{CloseReason, Overflow, Refusal, Sessions};

/// Memory that a thread keeps for encoding between batches.
const SCRATCH_BYTES: usize = 256 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Egress for Sessions {
    fn apply(&self, effects: &mut &[Effect<'_>]) {
        // Events that are refused have no answer, so there is nothing to do for them.
        if effects.is_empty() {
            return;
        }
        SCRATCH.with_borrow_mut(|out| {
            Application { sessions: self, refused: 0, bound: 0, touched: Vec::new(), call: None }.run(effects, out);
            out.shrink_to(SCRATCH_BYTES);
        });
        self.bound_retained();
    }
}

const fn bit(origin: Origin) -> u64 {
    const { assert!(CALL_REQUESTS_MAX <= u64::BITS as usize, "each request of a call has a bit of its own") };
    debug_assert!((origin.index as usize) < CALL_REQUESTS_MAX, "no call has so many requests");
    1 << (origin.index & (u64::BITS - 1))
}

/// One list of effects on its way.
struct Application<'a> {
    sessions: &'a Sessions,
    /// A bit for each request whose bind was refused: its later effects are dropped.
    refused: u64,
    /// A bit for each request that has bound a session.
    bound: u64,
    /// Sessions with packets that are not written yet.
    touched: Vec<Arc<Session>>,
    /// The number of the call, once it matters.
    call: Option<u64>,
}

/// The session that gets a packet, if the effect is a packet for one session that is named by its id.
#[inline]
fn direct(effect: &Effect<'_>) -> Option<ConnId> {
    match (effect.action, effect.origin.source) {
        (Action::Reply(_) | Action::Error(..), Source::Client { conn, .. }) | (Action::Push { to: Target::Conn(conn), .. }, _) => {
            Some(conn)
        }
        _ => None,
    }
}

/// Whether a request of this session made the effect.
#[inline]
fn asked(effect: &Effect<'_>, conn: ConnId) -> bool {
    matches!(effect.origin.source, Source::Client { conn: asker, .. } if asker == conn)
}

impl Application<'_> {
    fn run(&mut self, effects: &mut &[Effect<'_>], out: &mut Vec<u8>) {
        // Effects in a row for the same session, all of its own requests or all of others, are one write.
        for run in effects.chunk_by(|a, b| direct(a).is_some_and(|conn| direct(b) == Some(conn) && asked(a, conn) == asked(b, conn))) {
            *effects = effects.get(run.len()..).unwrap_or_default();
            let Some(first) = run.first() else { continue };
            let conn = direct(first);
            self.serve(conn.unwrap_or_else(|| first.origin.source.conn()), |this| {
                if this.refused != 0 {
                    run.iter().for_each(|effect| this.unless_refused(effect, out));
                } else if let Some(conn) = conn {
                    this.send(conn, run, out);
                } else {
                    this.act(first, out);
                }
            });
        }
        for session in std::mem::take(&mut self.touched) {
            self.serve(session.id, |_| session.flush());
        }
    }

    /// Does something for one session. A panic in it ends that session, but not the other effects, nor the worker.
    #[inline]
    fn serve(&mut self, conn: ConnId, serve: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| serve(self))) {
            self.sessions.panicked(conn, panic);
            if let Some(session) = self.sessions.find(conn) {
                session.cut(CloseReason::Internal);
            }
        }
    }

    fn unless_refused(&mut self, effect: &Effect<'_>, out: &mut Vec<u8>) {
        if self.refused & bit(effect.origin) != 0 {
            return;
        }
        match direct(effect) {
            Some(conn) => self.send(conn, std::slice::from_ref(effect), out),
            None => self.act(effect, out),
        }
    }

    /// Sends a run of packets to one session: all in one buffer and one write, unless they have to be kept for a resume, or a route has a
    /// policy. Then they are added one by one.
    fn send(&mut self, conn: ConnId, run: &[Effect<'_>], out: &mut Vec<u8>) {
        let map = self.sessions.map.pin();
        let Some(session) = map.get(&conn).and_then(Weak::upgrade) else { return };
        let Some(first) = run.first() else { return };
        let cause = self.cause(first, conn);
        if !session.retains() && !self.has_policy(run) {
            out.clear();
            let packets: usize = run.iter().map(|effect| encode(&session.profile, conn, effect, out)).sum();
            if session.send_unless_retained(out, packets, cause) {
                return;
            }
        }
        for effect in run {
            self.send_one(&session, effect, cause, out);
        }
        session.flush();
    }

    /// Who caused what this effect sends to a session.
    #[inline]
    fn cause(&mut self, effect: &Effect<'_>, conn: ConnId) -> Cause {
        if asked(effect, conn) { Cause::Asked } else { Cause::Call(*self.call.get_or_insert_with(|| self.sessions.next_call())) }
    }

    fn has_policy(&self, run: &[Effect<'_>]) -> bool {
        let routes = &self.sessions.options.routes;
        !routes.is_empty() && run.iter().any(|e| matches!(e.action, Action::Push { route, .. } if routes.contains_key(&route)))
    }

    fn send_one(&self, session: &Session, effect: &Effect<'_>, cause: Cause, out: &mut Vec<u8>) {
        out.clear();
        if encode(&session.profile, session.id, effect, out) > 0 {
            let (route, overflow) = match (effect.action, effect.origin.source) {
                (Action::Push { route, .. }, _) => (route, self.overflow(route, None)),
                (_, Source::Client { route, .. }) => (route, Overflow::Close),
                (_, Source::Event { .. }) => return,
            };
            self.count(session.add(&Bytes::copy_from_slice(out), route, overflow, cause));
        }
    }

    fn count(&self, taken: Taken) {
        if taken == Taken::Dropped {
            self.sessions.stats.refuse(Refusal::Overflow);
        }
    }

    fn overflow(&self, route: Route, channel: Option<&str>) -> Overflow {
        let options = &self.sessions.options;
        let of_channel = channel.and_then(|name| options.channels.iter().find(|(prefix, _)| name.starts_with(prefix)));
        of_channel.map_or_else(|| options.routes.get(&route).map_or(Overflow::Close, |policy| policy.overflow), |(_, overflow)| *overflow)
    }

    /// Carries out an effect that is not `direct`.
    fn act(&mut self, effect: &Effect<'_>, out: &mut Vec<u8>) {
        match effect.action {
            Action::Reply(_) | Action::Error(..) => {}
            Action::Push { to, .. } => self.push(effect, to, out),
            Action::Multicast { to, route, body } => self.multicast(effect, to, route, body),
            Action::Broadcast { bound_only, route, body } => self.broadcast(effect, bound_only, route, body),
            Action::Publish { channel, route, body } => self.publish(effect, channel, route, body),
            Action::Subscribe(who, channel) => self.subscribe(who, channel),
            Action::Unsubscribe(who, channel) => self.unsubscribe(who, channel),
            Action::Bind(conn, uid) => self.bind(effect.origin, conn, uid, out),
            Action::Unbind(who) => self.unbind(who),
            Action::Kick { who, code, text, at_once } => self.kick(who, code, text, at_once),
        }
    }

    fn target(&self, target: Target) -> Option<Arc<Session>> {
        match target {
            Target::Conn(conn) => self.sessions.find(conn),
            Target::Uid(_) => self.target_in(&self.sessions.book(), target),
        }
    }

    /// The same with the book locked, so that it is still the right one when something is done to it.
    fn target_in(&self, book: &Book, target: Target) -> Option<Arc<Session>> {
        let conn = match target {
            Target::Conn(conn) => conn,
            Target::Uid(uid) => book.conn_of(uid)?,
        };
        self.sessions.find(conn)
    }

    fn push(&mut self, effect: &Effect<'_>, to: Target, out: &mut Vec<u8>) {
        let Some(session) = self.target(to) else { return };
        let cause = self.cause(effect, session.id);
        self.serve(session.id, |this| {
            this.send_one(&session, effect, cause, out);
            session.flush();
        });
    }
}

/// Appends the packet of an effect. Returns how many packets that made.
#[inline]
fn encode(profile: &Profile, conn: ConnId, effect: &Effect<'_>, out: &mut Vec<u8>) -> usize {
    match (effect.action, effect.origin.source) {
        (Action::Reply(body), Source::Client { route, seq, .. }) => message(profile, conn, route, seq, body, out),
        (Action::Error(code, text), Source::Client { route, seq, .. }) => profile.error(route, seq, code, text, out),
        (Action::Push { route, body, .. }, _) => message(profile, conn, route, Seq::PUSH, body, out),
        _ => 0,
    }
}

#[inline]
fn message(profile: &Profile, conn: ConnId, route: Route, seq: Seq, body: &[u8], out: &mut Vec<u8>) -> usize {
    match profile.message(route, seq, body, out) {
        Ok(()) => 1,
        Err(error) => {
            tracing::warn!(%conn, %route, "a message of a plugin cannot be sent: {error}");
            profile.error(route, seq, ErrorCode::TOO_LARGE, ErrorCode::TOO_LARGE.text(), out)
        }
    }
}
