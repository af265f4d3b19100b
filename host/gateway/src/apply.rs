//! From effects to packets: each is encoded once for each wire format, and each client is written to once for each call.

mod bind;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use duet_core::{Action, ConnId, Effect, Egress, ErrorCode, Origin, Route, Seq, Target};
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
    fn apply(&self, effects: &[Effect<'_>]) {
        // Events that a plugin refuses come here with nothing, while those of their session are locked.
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
    1 << (origin.index & 63)
}

/// One list of effects on its way.
struct Application<'a> {
    sessions: &'a Sessions,
    /// A bit for each request whose bind was refused: what follows of it is dropped. A call has at most 64.
    refused: u64,
    /// A bit for each request that has bound a session.
    bound: u64,
    /// Sessions with packets that are not written yet.
    touched: Vec<Arc<Session>>,
    /// The number of the call, once it matters.
    call: Option<u64>,
}

/// The session that gets a packet of its own, if the effect is one.
#[inline]
fn direct(effect: &Effect<'_>) -> Option<ConnId> {
    match effect.action {
        Action::Reply(_) | Action::Error(..) => Some(effect.origin.conn),
        Action::Push { to: Target::Conn(conn), .. } => Some(conn),
        _ => None,
    }
}

/// Whether a request of this session made the effect.
#[inline]
fn asked(effect: &Effect<'_>, conn: ConnId) -> bool {
    effect.origin.conn == conn && !effect.origin.kind.is_event()
}

impl Application<'_> {
    fn run(&mut self, effects: &[Effect<'_>], out: &mut Vec<u8>) {
        // Effects in a row for the same session, all of its own requests or all of others, are one write.
        for run in effects.chunk_by(|a, b| direct(a).is_some_and(|conn| direct(b) == Some(conn) && asked(a, conn) == asked(b, conn))) {
            let Some(first) = run.first() else { continue };
            let conn = direct(first);
            self.serve(conn.unwrap_or(first.origin.conn), |this| {
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

    /// Does something for one session. A panic in it ends that session, and neither the other effects nor the worker.
    #[inline]
    fn serve(&mut self, conn: ConnId, serve: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| serve(self))) {
            self.sessions.panicked(conn, &*panic);
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
            let (route, overflow) = match effect.action {
                Action::Push { route, .. } => (route, self.overflow(route, None)),
                _ => (effect.origin.route, Overflow::Close),
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

    fn target(&self, target: Target) -> Option<Arc<Session>> {
        match target {
            Target::Conn(conn) => self.sessions.find(conn),
            Target::Uid(_) => self.target_in(&self.sessions.book(), target),
        }
    }

    /// The same with the book in hand, so that it is still the one when something is done to it.
    fn target_in(&self, book: &Book, target: Target) -> Option<Arc<Session>> {
        let conn = match target {
            Target::Conn(conn) => conn,
            Target::Uid(uid) => book.conn_of(uid)?,
        };
        self.sessions.find(conn)
    }

    fn act(&mut self, effect: &Effect<'_>, out: &mut Vec<u8>) {
        let sessions = self.sessions;
        match effect.action {
            Action::Reply(_) | Action::Error(..) => {}
            Action::Push { to, .. } => {
                if let Some(session) = self.target(to) {
                    let cause = self.cause(effect, session.id);
                    self.serve(session.id, |this| {
                        this.send_one(&session, effect, cause, out);
                        session.flush();
                    });
                }
            }
            Action::Multicast { to, route, body } => {
                let mut all: Vec<_> = to.iter().collect();
                if matches!(all.first(), Some(Target::Uid(_))) {
                    let book = sessions.book();
                    for target in &mut all {
                        if let Target::Uid(uid) = *target {
                            *target = Target::Conn(book.conn_of(uid).unwrap_or(ConnId(0)));
                        }
                    }
                }
                let map = sessions.map.pin();
                let found = all.iter().filter_map(|target| match target {
                    Target::Conn(conn) => map.get(conn).and_then(Weak::upgrade),
                    Target::Uid(_) => None,
                });
                self.spread(effect, found, route, body, self.overflow(route, None));
            }
            Action::Broadcast { bound_only, route, body } => {
                let all = sessions.all().into_iter().filter(|c| !bound_only || c.uid().is_some());
                self.spread(effect, all, route, body, self.overflow(route, None));
            }
            Action::Publish { channel, route, body } => {
                let members: Vec<ConnId> = sessions.book().members(channel).collect();
                let map = sessions.map.pin();
                let found = members.iter().filter_map(|conn| map.get(conn).and_then(Weak::upgrade));
                self.spread(effect, found, route, body, self.overflow(route, Some(channel)));
            }
            Action::Subscribe(who, channel) => {
                if let Some(session) = self.target(who)
                    && let Err(error) = sessions.book().subscribe(session.id, channel)
                {
                    sessions.stats.refuse(Refusal::Channel);
                    tracing::debug!(conn = %session.id, channel, "not subscribed: {error}");
                }
            }
            Action::Unsubscribe(who, channel) => {
                let Some(session) = self.target(who) else { return };
                if channel.is_empty() {
                    sessions.book().unsubscribe_all(session.id);
                } else {
                    sessions.book().unsubscribe(session.id, channel);
                }
            }
            Action::Bind(conn, uid) => self.bind(effect.origin, conn, uid, out),
            Action::Unbind(who) => {
                // All of it under the lock of the book, so that the session never says anything else than the book.
                let mut book = sessions.book();
                if let Some(session) = self.target_in(&book, who) {
                    book.unbind(session.id);
                    session.set_uid(None);
                    session.release();
                    if book.state(session.id).is_none() {
                        // It was suspended: nobody can come back to it any more.
                        session.cut(CloseReason::Expired);
                    }
                }
            }
            Action::Kick { who, code, text, at_once } => {
                // Under the lock of the book: a resume is over before it, or finds the token void.
                let mut book = sessions.book();
                let Some(session) = self.target_in(&book, who) else { return };
                book.drain(session.id);
                if at_once {
                    session.cut(CloseReason::Kicked);
                } else {
                    session.close_with(CloseReason::Kicked, Some(code), text);
                }
            }
        }
    }

    /// One message for many: encoded once for each format, written when the whole list is through.
    fn spread(&mut self, effect: &Effect<'_>, to: impl Iterator<Item = Arc<Session>>, route: Route, body: &[u8], overflow: Overflow) {
        let mut encoded: Vec<(Arc<Profile>, Option<Bytes>)> = Vec::new();
        for session in to {
            self.serve(session.id, |this| {
                let known = encoded.iter().position(|(profile, _)| Arc::ptr_eq(profile, &session.profile));
                let packet = match known.and_then(|at| encoded.get(at)) {
                    Some((_, packet)) => packet.clone(),
                    None => {
                        let mut out = Vec::with_capacity(body.len() + 32);
                        let count = message(&session.profile, session.id, route, Seq::PUSH, body, &mut out);
                        let packet = (count > 0).then(|| Bytes::from(out));
                        encoded.push((Arc::clone(&session.profile), packet.clone()));
                        packet
                    }
                };
                if let Some(packet) = packet {
                    let taken = session.add(&packet, route, overflow, this.cause(effect, session.id));
                    this.count(taken);
                    if taken == Taken::Added {
                        this.touched.push(session);
                    }
                }
            });
        }
    }
}

/// Appends the packet of an effect. Returns how many packets that made.
#[inline]
fn encode(profile: &Profile, conn: ConnId, effect: &Effect<'_>, out: &mut Vec<u8>) -> usize {
    let Origin { route, seq, .. } = effect.origin;
    match effect.action {
        Action::Reply(body) => message(profile, conn, route, seq, body, out),
        Action::Error(code, text) => profile.error(route, seq, code, text, out),
        Action::Push { route, body, .. } => message(profile, conn, route, Seq::PUSH, body, out),
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
