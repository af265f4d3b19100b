//! The bytes of the contract: every line of `packed-v1.golden`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use duet_plugin::prelude::*;

/// What a route does when the golden request comes.
type Act = fn(&mut Ctx) -> Result<()>;
/// What a handler sees of an event.
type Seen = (EventKind, u64, Option<i64>, String);

thread_local! {
    static ACT: Cell<Act> = const { Cell::new(|_| Ok(())) };
    static SEEN: RefCell<Vec<Seen>> = const { RefCell::new(Vec::new()) };
}

#[route(7, codec = "bytes")]
fn act(ctx: &mut Ctx, body: &[u8]) -> Result<()> {
    assert_eq!((ctx.conn(), ctx.uid(), ctx.route(), ctx.seq(), body), (5, Some(9), 7, 2, b"hi".as_slice()));
    ACT.get()(ctx)
}

#[event(connect, bind, disconnect, suspend, resume)]
fn see(ctx: &mut Ctx, event: Event<'_>) -> Result<()> {
    SEEN.with_borrow_mut(|seen| seen.push((event.kind, ctx.conn(), ctx.uid(), event.detail.to_owned())));
    Ok(())
}

duet_plugin::plugin! { routes: [act], events: [see] }

/// Effects, and the calls that make them.
const EFFECTS: [(&str, Act); 18] = [
    ("reply", |ctx| ctx.reply(Raw(b"yo"))),
    ("error", |_| Err(Error::new(1000, "no"))),
    ("push", |ctx| ctx.push(6, 8, Raw(b"!"))),
    ("push-uid", |ctx| ctx.push(Uid(9), 8, Raw(b"!"))),
    ("multicast", |ctx| ctx.multicast([5, 6], 8, Raw(b"!"))),
    ("multicast-uids", |ctx| ctx.multicast([9, 10].map(Uid), 8, Raw(b"!"))),
    ("broadcast", |ctx| ctx.broadcast(8, Raw(b"!"))),
    ("broadcast-bound", |ctx| ctx.broadcast_bound(8, Raw(b"!"))),
    ("publish", |ctx| ctx.publish("room", 8, Raw(b"!"))),
    ("subscribe", |ctx| ctx.subscribe_for(6, "room")),
    ("subscribe-uid", |ctx| ctx.subscribe_for(Uid(9), "room")),
    ("unsubscribe", |ctx| ctx.unsubscribe_for(6, "room")),
    ("unsubscribe-all", |ctx| ctx.unsubscribe_all_for(6)),
    ("bind", |ctx| ctx.bind(9)),
    ("unbind", Ctx::unbind),
    ("unbind-uid", |ctx| ctx.unbind_for(Uid(9))),
    ("kick", |ctx| ctx.kick(6, 1001, "bye")),
    ("kick-uid-at-once", |ctx| ctx.kick_now(Uid(9), 0, "")),
];

/// Events, and what a handler sees of them.
const EVENTS: [(&str, EventKind, Option<i64>, &str); 5] = [
    ("connect", EventKind::Connect, None, "192.0.2.1:80"),
    ("bind-event", EventKind::Bind, Some(9), ""),
    ("disconnect", EventKind::Disconnect, Some(9), "silence"),
    ("suspend", EventKind::Suspend, Some(9), "lost"),
    ("resume", EventKind::Resume, Some(9), "192.0.2.1:81"),
];

fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("../../wit/packed-v1.golden").lines().filter_map(|line| line.split_once(' '))
}

/// The bytes of a line; names are compared as a whole.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let (_, hex) = lines().find(|(known, _)| *known == name).unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn handle(mut requests: Vec<u8>) -> Vec<u8> {
    let mut effects = Vec::new();
    Plugin::handle_batch(&mut requests, &mut effects).unwrap();
    effects
}

#[test]
fn each_call_makes_the_golden_effect() {
    for (name, act) in EFFECTS {
        ACT.set(act);
        assert_eq!(handle(golden("request")), golden(name), "{name}");
    }
}

#[test]
fn each_golden_event_reaches_its_handler() {
    assert_eq!(handle(EVENTS.iter().flat_map(|(name, ..)| golden(name)).collect()), b"");
    let expected = EVENTS.map(|(_, kind, uid, detail)| (kind, 5, uid, detail.to_owned()));
    assert_eq!(SEEN.take(), expected);
}

#[test]
fn the_longer_header_of_a_later_host_is_skipped_and_so_is_a_kind_it_adds() {
    ACT.set(|ctx| ctx.reply(Raw(b"yo")));
    for name in LONGER {
        assert_eq!(handle(golden(name)), golden("reply"), "{name}");
    }
    assert_eq!(handle(golden("request-unknown-kind")), b"");
}

/// Requests with a header that is longer than what an SDK reads of it.
const LONGER: [&str; 3] = ["request-key", "request-longer-header", "request-odd-header"];
/// What else a plugin reads, and what only a host does.
const LATER: [&str; 3] = ["request-unknown-kind", "reply-longer-header", "effect-unknown-kind"];

#[test]
fn requests_behind_very_large_effects_are_left_for_the_next_call() {
    const MIB: usize = 1 << 20;
    let two = || [golden("request"), golden("request")].concat();
    ACT.set(|ctx| ctx.reply(Raw(&vec![b'x'; MIB - 24])));
    let list = handle(two());
    assert_eq!((list.len(), &list[MIB..]), (MIB + 24, golden("rest").as_slice()));
    ACT.set(|ctx| ctx.reply(Raw(&vec![b'x'; MIB - 25])));
    assert_eq!(handle(two()).len(), 2 * MIB - 2, "there was a byte left");
    ACT.set(|ctx| ctx.reply(Raw(&vec![b'x'; 4 * MIB - 24])));
    assert_eq!(handle(golden("request")).len(), 4 * MIB, "nothing is left to leave");
}

#[test]
fn no_line_is_left_out() {
    let effects = EFFECTS.iter().map(|(name, _)| *name).chain(["rest"]);
    let requests = EVENTS.iter().map(|(name, ..)| *name).chain(["request"]).chain(LONGER);
    let tested = effects.chain(requests).chain(LATER);
    assert_eq!(tested.collect::<BTreeSet<_>>(), lines().map(|(name, _)| name).collect());
}
