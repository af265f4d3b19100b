//! From effects to packets: each is encoded once for each wire format, and each connection is written once for each call.

mod bind;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use duet_core::{Action, ConnId, Effect, Egress, ErrorCode, Origin, Route, Seq, Target};
use duet_session::Sessions;

use crate::connection::Connection;
use crate::outbox::{Cause, Taken};
use crate::profile::Profile;
use crate::{CloseReason, Connections, Overflow, Refusal};

/// Memory that a thread keeps for encoding between batches.
const SCRATCH_BYTES: usize = 256 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Egress for Connections {
    fn apply(&self, effects: &[Effect<'_>]) {
        // Events that a plugin refuses come here with nothing, while those of their connection are locked.
        if effects.is_empty() {
            return;
        }
        SCRATCH.with_borrow_mut(|out| {
            Application { connections: self, refused: 0, bound: 0, touched: Vec::new(), call: None }.run(effects, out);
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
    connections: &'a Connections,
    /// A bit for each request whose bind was refused: what follows of it is dropped. A call has at most 64.
    refused: u64,
    /// A bit for each request that has bound a connection.
    bound: u64,
    /// Connections with packets that are not written yet.
    touched: Vec<Arc<Connection>>,
    /// The number of the call, once it matters.
    call: Option<u64>,
}

/// The connection that gets a packet of its own, if the effect is one.
#[inline]
fn direct(effect: &Effect<'_>) -> Option<ConnId> {
    match effect.action {
        Action::Reply(_) | Action::Error(..) => Some(effect.origin.conn),
        Action::Push { to: Target::Conn(conn), .. } => Some(conn),
        _ => None,
    }
}

/// Whether a request of this connection made the effect.
#[inline]
fn asked(effect: &Effect<'_>, conn: ConnId) -> bool {
    effect.origin.conn == conn && !effect.origin.kind.is_event()
}

impl Application<'_> {
    fn run(&mut self, effects: &[Effect<'_>], out: &mut Vec<u8>) {
        // Effects in a row for the same connection, all of its own requests or all of others, are one write.
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
        for connection in std::mem::take(&mut self.touched) {
            self.serve(connection.id, |_| connection.flush());
        }
    }

    /// Does something for one connection. A panic in it ends that connection, and neither the other effects nor the worker.
    #[inline]
    fn serve(&mut self, conn: ConnId, serve: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| serve(self))) {
            self.connections.panicked(conn, &*panic);
            if let Some(connection) = self.connections.find(conn) {
                connection.cut(CloseReason::Internal);
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
        let map = self.connections.map.pin();
        let Some(connection) = map.get(&conn).and_then(Weak::upgrade) else { return };
        let Some(first) = run.first() else { return };
        let cause = self.cause(first, conn);
        if !connection.retains() && !self.has_policy(run) {
            out.clear();
            let packets: usize = run.iter().map(|effect| encode(&connection.profile, conn, effect, out)).sum();
            if connection.send_unless_retained(out, packets, cause) {
                return;
            }
        }
        for effect in run {
            self.send_one(&connection, effect, cause, out);
        }
        connection.flush();
    }

    /// Who caused what this effect sends to a connection.
    #[inline]
    fn cause(&mut self, effect: &Effect<'_>, conn: ConnId) -> Cause {
        if asked(effect, conn) { Cause::Asked } else { Cause::Call(*self.call.get_or_insert_with(|| self.connections.next_call())) }
    }

    fn has_policy(&self, run: &[Effect<'_>]) -> bool {
        let routes = &self.connections.options.routes;
        !routes.is_empty() && run.iter().any(|e| matches!(e.action, Action::Push { route, .. } if routes.contains_key(&route)))
    }

    fn send_one(&self, connection: &Connection, effect: &Effect<'_>, cause: Cause, out: &mut Vec<u8>) {
        out.clear();
        if encode(&connection.profile, connection.id, effect, out) > 0 {
            let (route, overflow) = match effect.action {
                Action::Push { route, .. } => (route, self.overflow(route, None)),
                _ => (effect.origin.route, Overflow::Close),
            };
            self.count(connection.add(&Bytes::copy_from_slice(out), route, overflow, cause));
        }
    }

    fn count(&self, taken: Taken) {
        if taken == Taken::Dropped {
            self.connections.stats.refuse(Refusal::Overflow);
        }
    }

    fn overflow(&self, route: Route, channel: Option<&str>) -> Overflow {
        let options = &self.connections.options;
        let of_channel = channel.and_then(|name| options.channels.iter().find(|(prefix, _)| name.starts_with(prefix)));
        of_channel.map_or_else(|| options.routes.get(&route).map_or(Overflow::Close, |policy| policy.overflow), |(_, overflow)| *overflow)
    }

    fn target(&self, target: Target) -> Option<Arc<Connection>> {
        match target {
            Target::Conn(conn) => self.connections.find(conn),
            Target::Uid(_) => self.target_in(&self.connections.book(), target),
        }
    }

    /// The same with the book in hand, so that it is still the one when something is done to it.
    fn target_in(&self, book: &Sessions, target: Target) -> Option<Arc<Connection>> {
        let conn = match target {
            Target::Conn(conn) => conn,
            Target::Uid(uid) => book.conn_of(uid)?,
        };
        self.connections.find(conn)
    }

    fn act(&mut self, effect: &Effect<'_>, out: &mut Vec<u8>) {
        let connections = self.connections;
        match effect.action {
            Action::Reply(_) | Action::Error(..) => {}
            Action::Push { to, .. } => {
                if let Some(connection) = self.target(to) {
                    let cause = self.cause(effect, connection.id);
                    self.serve(connection.id, |this| {
                        this.send_one(&connection, effect, cause, out);
                        connection.flush();
                    });
                }
            }
            Action::Multicast { to, route, body } => {
                let mut all: Vec<_> = to.iter().collect();
                if matches!(all.first(), Some(Target::Uid(_))) {
                    let book = connections.book();
                    for target in &mut all {
                        if let Target::Uid(uid) = *target {
                            *target = Target::Conn(book.conn_of(uid).unwrap_or(ConnId(0)));
                        }
                    }
                }
                let map = connections.map.pin();
                let found = all.iter().filter_map(|target| match target {
                    Target::Conn(conn) => map.get(conn).and_then(Weak::upgrade),
                    Target::Uid(_) => None,
                });
                self.spread(effect, found, route, body, self.overflow(route, None));
            }
            Action::Broadcast { bound_only, route, body } => {
                let all = connections.all().into_iter().filter(|c| !bound_only || c.uid().is_some());
                self.spread(effect, all, route, body, self.overflow(route, None));
            }
            Action::Publish { channel, route, body } => {
                let members: Vec<ConnId> = connections.book().members(channel).collect();
                let map = connections.map.pin();
                let found = members.iter().filter_map(|conn| map.get(conn).and_then(Weak::upgrade));
                self.spread(effect, found, route, body, self.overflow(route, Some(channel)));
            }
            Action::Subscribe(who, channel) => {
                if let Some(connection) = self.target(who)
                    && let Err(error) = connections.book().subscribe(connection.id, channel)
                {
                    connections.stats.refuse(Refusal::Channel);
                    tracing::debug!(conn = %connection.id, channel, "not subscribed: {error}");
                }
            }
            Action::Unsubscribe(who, channel) => {
                let Some(connection) = self.target(who) else { return };
                if channel.is_empty() {
                    connections.book().unsubscribe_all(connection.id);
                } else {
                    connections.book().unsubscribe(connection.id, channel);
                }
            }
            Action::Bind(conn, uid) => self.bind(effect.origin, conn, uid, out),
            Action::Unbind(who) => {
                // All of it under the lock of the book, so that the connection never says anything else than the book.
                let mut book = connections.book();
                if let Some(connection) = self.target_in(&book, who) {
                    book.unbind(connection.id);
                    connection.set_uid(None);
                    connection.release();
                    if book.state(connection.id).is_none() {
                        // It was suspended: nobody can come back to it any more.
                        connection.cut(CloseReason::Expired);
                    }
                }
            }
            Action::Kick { who, code, text, at_once } => {
                // Under the lock of the book: a resume is over before it, or finds the token void.
                let mut book = connections.book();
                let Some(connection) = self.target_in(&book, who) else { return };
                book.drain(connection.id);
                if at_once {
                    connection.cut(CloseReason::Kicked);
                } else {
                    connection.close_with(CloseReason::Kicked, Some(code), text);
                }
            }
        }
    }

    /// One message for many: encoded once for each format, written when the whole list is through.
    fn spread(&mut self, effect: &Effect<'_>, to: impl Iterator<Item = Arc<Connection>>, route: Route, body: &[u8], overflow: Overflow) {
        let mut encoded: Vec<(Arc<Profile>, Option<Bytes>)> = Vec::new();
        for connection in to {
            self.serve(connection.id, |this| {
                let known = encoded.iter().position(|(profile, _)| Arc::ptr_eq(profile, &connection.profile));
                let packet = match known.and_then(|at| encoded.get(at)) {
                    Some((_, packet)) => packet.clone(),
                    None => {
                        let mut out = Vec::with_capacity(body.len() + 32);
                        let count = message(&connection.profile, connection.id, route, Seq::PUSH, body, &mut out);
                        let packet = (count > 0).then(|| Bytes::from(out));
                        encoded.push((Arc::clone(&connection.profile), packet.clone()));
                        packet
                    }
                };
                if let Some(packet) = packet {
                    let taken = connection.add(&packet, route, overflow, this.cause(effect, connection.id));
                    this.count(taken);
                    if taken == Taken::Added {
                        this.touched.push(connection);
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
