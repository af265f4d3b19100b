use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::packed::{Requests, put_effect, put_rest};
use crate::{ConnId, Counts, ErrorCode, Key, Presence, Request, RequestKind, Route, Seq, Targets};

/// A gate with this many sessions, which counts how often it is asked. The channel `crowd` has 200,000 members, every other channel one.
#[derive(Default)]
struct Gate {
    connections: usize,
    suspended: usize,
    asked: AtomicUsize,
}

impl Directory for Gate {
    fn presence(&self, _uid: Uid) -> Presence {
        Presence::Offline
    }
    fn conn_of(&self, _uid: Uid) -> Option<ConnId> {
        None
    }
    fn uid_of(&self, _conn: ConnId) -> Option<Uid> {
        None
    }
    fn address(&self, _conn: ConnId) -> Option<SocketAddr> {
        None
    }
    fn counts(&self) -> Counts {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Counts { connections: self.connections, bound: 0, suspended: self.suspended }
    }
    fn member_count(&self, channel: &str) -> usize {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if channel == "crowd" { 200_000 } else { 1 }
    }
    fn members(&self, _channel: &str, _max: usize) -> Vec<ConnId> {
        Vec::new()
    }
}

/// Two messages of connection 5 and an event of connection 6.
fn requests() -> Requests {
    let message = Request {
        kind: RequestKind::Message,
        conn: ConnId(5),
        uid: Some(Uid(9)),
        route: Route(7),
        seq: Seq(2),
        key: Some(Key(1)),
        body: b"hi",
    };
    let event = Request { kind: RequestKind::Connect, conn: ConnId(6), route: Route(0), seq: Seq(0), ..message };
    let mut requests = Requests::new();
    [message, Request { seq: Seq(3), ..message }, event].iter().for_each(|request| requests.push(request));
    requests
}

fn gate_id(number: u16) -> GateId {
    GateId::new(number).unwrap()
}

fn list(effects: impl IntoIterator<Item = (usize, Action<'static>)>) -> Vec<u8> {
    let mut list = Vec::new();
    effects.into_iter().for_each(|(request, action)| put_effect(&mut list, &EffectRecord { request, action }));
    list
}

const REPLY: Action<'static> = Action::Reply(b"yo");
const ERROR: Action<'static> = Action::Error(ErrorCode(1000), "no");
const PUSH: Action<'static> = push(6);
const BROADCAST: Action<'static> = Action::Broadcast { bound_only: true, route: Route(8), body: b"!" };

const fn push(conn: u64) -> Action<'static> {
    Action::Push { to: Target::Conn(ConnId(conn)), route: Route(8), body: b"!" }
}

const fn publish(channel: &'static str) -> Action<'static> {
    Action::Publish { channel, route: Route(8), body: b"!" }
}

/// The outcome of a call with these effects, or why there is none.
fn made(effects: &[(usize, Action<'static>)], gate: &Gate) -> Result<(Vec<(u32, Action<'static>)>, usize), OutcomeError> {
    let list = list(effects.iter().copied());
    let outcome = Outcome::new(requests().bytes(), &list, gate)?;
    // Whatever is left over was in the list.
    let find = |action: Action<'_>| effects.iter().find(|(_, known)| *known == action).unwrap().1;
    Ok((outcome.effects().iter().map(|e| (e.origin.index, find(e.action))).collect(), outcome.receivers()))
}

#[test]
fn effects_keep_their_order_and_know_what_they_came_from() {
    let list = list([(1, REPLY), (2, PUSH), (0, PUSH)]);
    let requests = requests();
    let outcome = Outcome::new(requests.bytes(), &list, &Gate::default()).unwrap();
    let client = |seq| Source::Client { conn: ConnId(5), route: Route(7), seq: Seq(seq) };
    let event = Source::Event { conn: ConnId(6), kind: RequestKind::Connect };
    let expected = [(1, client(3), REPLY), (2, event, PUSH), (0, client(2), PUSH)];
    assert_eq!(outcome.effects(), expected.map(|(index, source, action)| Effect { origin: Origin { index, source }, action }));
}

#[test]
fn a_list_that_contradicts_the_requests_is_refused_as_a_whole() {
    let refused = |effects: &[_], request| {
        let error = OutcomeError::Answer { request, requests: 3 };
        assert_eq!(made(effects, &Gate::default()), Err(error), "{effects:?}");
    };
    refused(&[(0, PUSH), (3, PUSH)], 3);
    refused(&[(usize::MAX >> 32, REPLY)], u32::MAX as usize);
    for second in [REPLY, ERROR] {
        refused(&[(0, REPLY), (1, REPLY), (0, second)], 0);
        refused(&[(0, ERROR), (0, second)], 0);
        refused(&[(2, second)], 2);
    }
    assert!(matches!(Outcome::new(requests().bytes(), &[1], &Gate::default()), Err(OutcomeError::Effect(EffectError::Misfit { .. }))));
}

#[test]
fn an_error_takes_the_other_effects_of_its_request_with_it() {
    let effects = [(0, PUSH), (1, PUSH), (0, ERROR), (2, PUSH), (0, push(7)), (1, REPLY)];
    assert_eq!(made(&effects, &Gate::default()).unwrap().0, [(1, PUSH), (0, ERROR), (2, PUSH), (1, REPLY)]);
}

#[test]
fn a_request_makes_so_many_effects_beside_its_answer_and_no_more() {
    let most: Vec<_> = [0, 1, 2].iter().flat_map(|request| vec![(*request, PUSH); EFFECTS_MAX]).chain([(0, REPLY), (1, REPLY)]).collect();
    assert_eq!(made(&most, &Gate::default()).unwrap().0.len(), most.len());
    for one_more in [0, 1, 2] {
        let effects = [&most[..], &[(one_more, PUSH)]].concat();
        assert_eq!(made(&effects, &Gate::default()), Err(OutcomeError::TooManyEffects));
    }
}

#[test]
fn a_request_makes_so_many_bytes_of_effects_and_so_large_an_answer_whatever_others_make() {
    let body = |bytes: usize| Box::leak(vec![b'x'; bytes - 24].into_boxed_slice()) as &'static [u8];
    let large = |bytes| Action::Push { to: Target::Conn(ConnId(6)), route: Route(8), body: body(bytes) };
    let (half, small) = (large(EFFECT_BYTES_MAX / 2), large(24));
    let most = [(0, half), (0, half), (0, Action::Reply(body(EFFECT_BYTES_MAX))), (1, half), (1, half)];
    assert_eq!(made(&most, &Gate::default()).unwrap().0.len(), most.len());
    for one_more in [0, 1] {
        let effects = [&most[..], &[(one_more, small)]].concat();
        assert_eq!(made(&effects, &Gate::default()), Err(OutcomeError::TooManyBytes));
    }
    let answer = [(0, Action::Reply(body(EFFECT_BYTES_MAX + 1)))];
    assert_eq!(made(&answer, &Gate::default()), Err(OutcomeError::TooManyBytes));
}

#[test]
fn a_list_that_leaves_requests_says_how_many_were_handled() {
    let (requests, gate) = (requests(), Gate::default());
    let handled = |effects: &[_], rest| {
        let mut list = list(effects.iter().copied());
        put_rest(&mut list, rest);
        Outcome::new(requests.bytes(), &list, &gate).map(|outcome| outcome.handled())
    };
    assert_eq!(Outcome::new(requests.bytes(), b"", &gate).unwrap().handled(), 3);
    assert_eq!(handled(&[(0, REPLY)], 1), Ok(1));
    assert_eq!(handled(&[(0, PUSH), (1, ERROR)], 2), Ok(2));
    assert_eq!(handled(&[], 2), Ok(2), "they were one-way");
    // The first is always handled, so that nobody calls again for ever.
    for rest in [0, 3, u32::MAX as usize] {
        assert_eq!(handled(&[(0, REPLY)], rest), Err(OutcomeError::Rest { rest, requests: 3 }));
    }
    assert_eq!(handled(&[(0, REPLY), (1, PUSH)], 1), Err(OutcomeError::Rest { rest: 1, requests: 3 }), "it has an effect already");
}

#[test]
fn a_gate_is_asked_for_numbers_only_if_they_matter_and_never_twice() {
    let gate = |connections, suspended| Gate { connections, suspended, ..Gate::default() };
    let times = |gate: &Gate, effects: &[_]| {
        let made = made(effects, gate).map(|(_, receivers)| receivers);
        (made, gate.asked.load(Ordering::Relaxed))
    };
    let ids: &[u8] = &[0; 80];
    let ten = Action::Multicast { to: Targets::new(ids, false), route: Route(8), body: b"!" };
    assert_eq!(times(&gate(1000, 0), &[(0, REPLY), (1, PUSH), (0, ten), (0, Action::Subscribe(Target::Uid(Uid(9)), "room"))]), (Ok(11), 0));
    // Suspended sessions count, and a channel counts as if everybody were in it.
    assert_eq!(times(&gate(1000, 500), &[(0, BROADCAST), (1, publish("room")), (1, publish("crowd")), (0, BROADCAST)]), (Ok(6000), 1));
    // There may be too many, so each channel is looked up once.
    let rooms = [(0, publish("room")), (0, publish("lobby")), (0, publish("room"))];
    assert_eq!(times(&gate(200_000, 0), &rooms), (Ok(3), 3));
    assert_eq!(times(&gate(0, 400_000), &[(0, publish("room")), (0, BROADCAST), (1, BROADCAST)]), (Ok(800_001), 2));
}

#[test]
fn once_the_messages_of_a_request_go_to_too_many_no_further_one_is_taken() {
    let gate = Gate { connections: 150_000, suspended: 50_000, ..Gate::default() };
    let made = |effects: &[_]| made(effects, &gate).map(|(_, receivers)| receivers);
    let (crowd, room) = (publish("crowd"), publish("room"));
    assert_eq!(made(&[(0, crowd), (0, BROADCAST), (0, REPLY)]), Ok(400_000), "just so many");
    assert_eq!(made(&[(0, crowd), (0, PUSH), (0, BROADCAST)]), Ok(400_001), "the last may go beyond");
    assert_eq!(made(&[(0, crowd), (0, BROADCAST), (0, Action::Unbind(Target::Uid(Uid(9))))]), Ok(400_000), "others are no messages");
    for one_more in [PUSH, room, crowd, BROADCAST] {
        assert_eq!(made(&[(0, crowd), (0, BROADCAST), (0, one_more)]), Err(OutcomeError::TooManyReceivers));
        assert_eq!(made(&[(0, crowd), (0, BROADCAST), (1, one_more)]).map(|all| all > 400_000), Ok(true), "each request has as many");
        assert_eq!(made(&[(0, crowd), (0, BROADCAST), (0, one_more), (0, ERROR)]), Err(OutcomeError::TooManyReceivers), "even if it fails");
    }
    let many: Vec<_> = (0..3).flat_map(|request| vec![(request, room); EFFECTS_MAX]).collect();
    assert_eq!(made(&many), Ok(3 * EFFECTS_MAX), "what all may be is not what they are");
}

#[test]
fn effects_are_found_by_where_they_happen() {
    let (here, there) = (ConnId::new(gate_id(0), 5), ConnId::new(gate_id(3), 5));
    let target = |conn| Target::Conn(conn);
    let ids = |conns: [ConnId; 2]| conns.map(|conn| conn.0.to_le_bytes()).concat();
    let (same, mixed, none) = (ids([there, ConnId::new(gate_id(3), 6)]), ids([here, there]), ids([ConnId(u64::MAX); 2]));
    let multicast = |ids, uids| Action::Multicast { to: Targets::new(ids, uids), route: Route(8), body: b"!" };
    let source = Source::Client { conn: there, route: Route(7), seq: Seq(2) };
    let effect = |action| Effect { origin: Origin { index: 0, source }, action };
    let (kick, uid) = (|who| Action::Kick { who, code: ErrorCode(1001), text: "bye", at_once: false }, Target::Uid(Uid(9)));
    for (action, place) in [
        (REPLY, Place::Gate(gate_id(3))),
        (ERROR, Place::Gate(gate_id(3))),
        (PUSH, Place::Gate(gate_id(0))),
        (Action::Push { to: uid, route: Route(8), body: b"!" }, Place::Uid(Uid(9))),
        (multicast(&same, false), Place::Gate(gate_id(3))),
        (multicast(&mixed, false), Place::Gates),
        (multicast(&none, false), Place::Nowhere),
        (multicast(&[], false), Place::Nowhere),
        (multicast(&same[..8], true), Place::Uid(Uid(there.0.cast_signed()))),
        (multicast(&same, true), Place::Gates),
        (BROADCAST, Place::Gates),
        (publish("room"), Place::Gates),
        (Action::Subscribe(target(there), "room"), Place::Gate(gate_id(3))),
        (Action::Unsubscribe(uid, "room"), Place::Uid(Uid(9))),
        (Action::Bind(here, Uid(9)), Place::Gate(gate_id(0))),
        (Action::Unbind(target(ConnId(1 << 53))), Place::Nowhere),
        (kick(target(there)), Place::Gate(gate_id(3))),
        (kick(uid), Place::Uid(Uid(9))),
    ] {
        assert_eq!(effect(action).place(), place, "{action:?}");
    }
    let list = list([(0, REPLY), (0, PUSH), (1, BROADCAST), (1, PUSH)]);
    let requests = requests();
    let outcome = Outcome::new(requests.bytes(), &list, &Gate::default()).unwrap();
    let runs: Vec<_> = outcome.runs().map(|(place, run)| (place, run.len())).collect();
    assert_eq!(runs, [(Place::Gate(gate_id(0)), 2), (Place::Gates, 1), (Place::Gate(gate_id(0)), 1)]);
    assert!(outcome.runs().flat_map(|(_, run)| run).eq(outcome.effects()));
}

#[test]
fn an_outcome_and_each_part_of_it_comes_through_a_link_with_its_origins() {
    let list = list([(1, REPLY), (2, publish("room")), (2, PUSH), (1, BROADCAST), (0, ERROR)]);
    let requests = requests();
    let outcome = Outcome::new(requests.bytes(), &list, &Gate::default()).unwrap();
    for from in 0..outcome.effects().len() {
        for to in from..=outcome.effects().len() {
            let part = &outcome.effects()[from..to];
            let mut bytes = Vec::new();
            Outcome::put(part, &mut bytes);
            let read = Outcome::read(&bytes, &Gate::default()).unwrap();
            // Only the indexes differ: they now point into the origins that came along.
            let told = |effects: &[Effect<'_>]| format!("{:?}", effects.iter().map(|e| (e.origin.source, e.action)).collect::<Vec<_>>());
            assert_eq!(told(read.effects()), told(part));
            let same = |a: usize, b: usize| part[a].origin.index == part[b].origin.index;
            for (a, b) in (0..part.len()).flat_map(|a| (0..part.len()).map(move |b| (a, b))) {
                assert_eq!(read.effects()[a].origin.index == read.effects()[b].origin.index, same(a, b));
            }
        }
    }
}

#[test]
fn what_comes_through_a_link_is_checked_as_what_a_plugin_returns() {
    let list = list([(0, REPLY), (1, PUSH)]);
    let requests = requests();
    let mut bytes = Vec::new();
    Outcome::put(Outcome::new(requests.bytes(), &list, &Gate::default()).unwrap().effects(), &mut bytes);
    for end in (0..bytes.len()).filter(|end| ![4 + 64, bytes.len() - list.len() / 2].contains(end)) {
        let read = Outcome::read(&bytes[..end], &Gate::default());
        assert!(read.is_err() || read.unwrap().effects().len() < 2, "cut at {end}");
    }
    let twice = [&bytes[..], &bytes[4 + 64..]].concat();
    assert_eq!(Outcome::read(&twice, &Gate::default()).err(), Some(OutcomeError::Answer { request: 0, requests: 2 }));
    let mut rest = bytes.clone();
    put_rest(&mut rest, 1);
    assert_eq!(Outcome::read(&rest, &Gate::default()).err(), Some(OutcomeError::Rest { rest: 1, requests: 2 }));
    let mut event = bytes.clone();
    event[4 + 6] = RequestKind::Connect as u8;
    assert_eq!(Outcome::read(&event, &Gate::default()).err(), Some(OutcomeError::Answer { request: 0, requests: 2 }));
}
