//! One message for many: encoded once for each format, written once the whole list of effects has been gone through.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use duet_core::{ConnId, Effect, Route, Seq, Target, Targets};

use super::{Application, message};
use crate::Overflow;
use crate::outbox::Taken;
use crate::profile::Profile;
use crate::session::Session;

impl Application<'_> {
    pub(super) fn multicast(&mut self, effect: &Effect<'_>, to: Targets<'_>, route: Route, body: &[u8]) {
        let sessions = self.sessions;
        let mut book = None;
        let conn_of = |target| match target {
            Target::Conn(conn) => Some(conn),
            Target::Uid(uid) => book.get_or_insert_with(|| sessions.book()).conn_of(uid),
        };
        let conns: Vec<ConnId> = to.iter().filter_map(conn_of).collect();
        drop(book);
        let map = sessions.map.pin();
        let found = conns.iter().filter_map(|conn| map.get(conn).and_then(Weak::upgrade));
        self.spread(effect, found, route, body, self.overflow(route, None));
    }

    pub(super) fn broadcast(&mut self, effect: &Effect<'_>, bound_only: bool, route: Route, body: &[u8]) {
        let all = self.sessions.all().into_iter().filter(|session| !bound_only || session.uid().is_some());
        self.spread(effect, all, route, body, self.overflow(route, None));
    }

    pub(super) fn publish(&mut self, effect: &Effect<'_>, channel: &str, route: Route, body: &[u8]) {
        let sessions = self.sessions;
        let members: Vec<ConnId> = sessions.book().members(channel).collect();
        let map = sessions.map.pin();
        let found = members.iter().filter_map(|conn| map.get(conn).and_then(Weak::upgrade));
        self.spread(effect, found, route, body, self.overflow(route, Some(channel)));
    }

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
