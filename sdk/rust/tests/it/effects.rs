//! What a handler does besides answering, as the harness shows it.

use duet_plugin::prelude::*;
use duet_plugin::testing::{Effect, Harness, Outcome, Push, To};

#[route(1)]
fn login(ctx: &mut Ctx, uid: i64) -> Result<i64> {
    ctx.bind(uid)?;
    ctx.subscribe("hall")?;
    ctx.publish("hall", 2, &uid)?;
    Ok(uid)
}

#[route(2)]
fn late(ctx: &mut Ctx) -> Result<()> {
    ctx.reply(&1)?;
    ctx.bind(9)
}

duet_plugin::plugin! { routes: [login, late] }

fn made(act: impl FnOnce(&mut Ctx) -> Result<()>) -> Outcome {
    let (result, outcome) = Harness::<Plugin>::new().conn(7).call(act);
    assert_eq!(result, Ok(()));
    outcome
}

fn refused(act: impl FnOnce(&mut Ctx) -> Result<()>) -> String {
    let (result, outcome) = Harness::<Plugin>::new().call(act);
    assert_eq!(outcome, Outcome::default(), "what failed leaves nothing behind");
    result.unwrap_err().message().to_owned()
}

fn push(to: To, body: &str) -> Effect {
    Effect::Push(Push { to, route: 2, body: body.into() })
}

#[test]
fn effects_are_seen_in_their_order() {
    let outcome = Harness::<Plugin>::new().conn(7).send(1, "42");
    let hall = "hall".to_owned();
    let expected =
        [Effect::Bind { conn: 7, uid: 42 }, Effect::Subscribe { target: Conn(7), channel: hall.clone() }, push(To::Channel(hall), "42")];
    assert_eq!((outcome.effects(), outcome.json::<i64>()), (expected.as_slice(), 42));
    assert_eq!(outcome.pushes()[0].json::<i64>(), 42);
}

#[test]
fn what_is_said_of_no_one_else_is_about_the_sender() {
    let outcome = made(|ctx| {
        ctx.unsubscribe("hall")?;
        ctx.unsubscribe_all()?;
        ctx.unbind()?;
        ctx.bind_conn(8, 1)
    });
    let expected = [
        Effect::Unsubscribe { target: Conn(7), channel: Some("hall".to_owned()) },
        Effect::Unsubscribe { target: Conn(7), channel: None },
        Effect::Unbind { target: Conn(7) },
        Effect::Bind { conn: 8, uid: 1 },
    ];
    assert_eq!(outcome.effects(), expected);
}

#[test]
fn a_message_goes_to_one_to_many_to_all_or_to_a_channel() {
    struct Member {
        uid: i64,
    }
    let (conns, party) = (vec![5, 6], [Member { uid: 9 }, Member { uid: 10 }]);
    let outcome = made(|ctx| {
        ctx.push(ctx.conn(), 2, "x")?;
        ctx.push(Uid(9), 2, "x")?;
        ctx.multicast(&conns, 2, "x")?;
        ctx.multicast(party.iter().map(|member| Uid(member.uid)), 2, "x")?;
        ctx.broadcast(2, "x")?;
        ctx.broadcast_bound(2, "x")
    });
    let to = [To::One(Conn(7)), To::One(Uid(9)), To::Many(vec![Conn(5), Conn(6)]), To::Many(vec![Uid(9), Uid(10)]), To::All, To::Bound];
    assert_eq!(outcome.effects(), to.map(|to| push(to, "\"x\"")));
}

#[test]
fn a_kick_has_a_code_and_a_reason() {
    let outcome = made(|ctx| {
        ctx.kick(8, 1001, "cheating")?;
        ctx.kick_now(Uid(9), 0, "")
    });
    let expected = [
        Effect::Kick { target: Conn(8), code: 1001, reason: "cheating".to_owned(), at_once: false },
        Effect::Kick { target: Uid(9), code: 0, reason: String::new(), at_once: true },
    ];
    assert_eq!(outcome.effects(), expected);
}

#[test]
fn a_multicast_to_nobody_does_nothing() {
    assert_eq!(made(|ctx| ctx.multicast::<[u64; 0]>([], 2, "x")), Outcome::default());
}

#[test]
fn what_the_host_would_not_take_is_refused_at_once() {
    let mixed = refused(|ctx| ctx.multicast([Conn(1), Uid(1)], 2, "x"));
    assert_eq!(mixed, "a multicast goes to connections or to uids, not to both");
    assert_eq!(refused(|ctx| ctx.bind(0)), "a uid is above 0, not 0");
    let length = "the name of a channel has 1 to 255 bytes, not ";
    for channel in [String::new(), "x".repeat(256)] {
        let expected = format!("{length}{}", channel.len());
        assert_eq!(refused(|ctx| ctx.publish(&channel, 2, "x")), expected);
        assert_eq!(refused(|ctx| ctx.subscribe(&channel)), expected);
        assert_eq!(refused(|ctx| ctx.unsubscribe(&channel)), expected);
    }
    assert_eq!(made(|ctx| ctx.subscribe(&"x".repeat(255))).effects().len(), 1);
}

#[test]
fn the_effect_that_is_one_too_many_for_the_host_is_refused_and_those_before_it_stay() {
    let (refused, outcome) = Harness::<Plugin>::new().call(|ctx| {
        ctx.reply(&1).unwrap();
        (0..4096).for_each(|_| ctx.push(7, 2, &1).unwrap());
        [ctx.push(7, 2, &1), ctx.unbind(), ctx.multicast([7], 2, &1)]
    });
    assert!(refused.iter().all(|made| made.as_ref().unwrap_err().message() == "a request makes at most 4096 effects"), "{refused:?}");
    assert_eq!((outcome.effects().len(), outcome.reply()), (4096, Some(b"1".as_slice())));
}

#[test]
fn effects_and_an_answer_that_are_too_large_for_the_host_are_refused() {
    let half = vec![0; (2 << 20) - 24];
    let (made, outcome) = Harness::<Plugin>::new().call(|ctx| {
        let pushes = [(); 3].map(|()| ctx.push(7, 2, Raw(&half)).is_ok());
        let replies = [(4 << 20) - 23, (4 << 20) - 24].map(|bytes| ctx.reply(Raw(&vec![0; bytes])).is_ok());
        (pushes, ctx.unbind().is_ok(), replies)
    });
    assert_eq!(made, ([true, true, false], false, [false, true]));
    assert_eq!(outcome.effects().len(), 2);
    let (_, outcome) = Harness::<Plugin>::new().call(|ctx| ctx.reply("short"));
    assert_eq!(outcome.reply(), Some(b"\"short\"".as_slice()), "the next request begins anew");
}

#[test]
fn a_bind_behind_the_reply_is_refused() {
    let outcome = Harness::<Plugin>::new().send(2, "");
    assert!(outcome.error().unwrap().message().starts_with("bind before the reply"));
    assert_eq!((outcome.reply(), outcome.effects()), (None, [].as_slice()));
}
