//! Events of connections.

use duet_plugin::prelude::*;
use duet_plugin::testing::{Effect, Harness, Outcome, Push, To};
use duet_plugin::{MalformedBatch, log::Level};

use crate::golden::golden;

#[event(connect, resume)]
fn here(ctx: &mut Ctx, event: Event<'_>) -> Result<()> {
    let address = event.address().ok_or_else(|| Error::handler("no address"))?;
    ctx.push(ctx.conn(), 2, &address.port())
}

#[event(bind, codec = "msgpack")]
fn bound(ctx: &mut Ctx) -> Result<()> {
    ctx.publish("hall", 2, &ctx.uid())
}

#[event(disconnect)]
fn left(ctx: &mut Ctx, event: Event<'_>) -> Result<(), std::num::ParseIntError> {
    let _ = ctx.broadcast(2, event.detail);
    event.detail.parse::<u8>().map(drop)
}

#[event(suspend)]
fn answers(ctx: &mut Ctx) -> Result<()> {
    ctx.bind(9)?;
    ctx.reply(&1)
}

duet_plugin::plugin! { routes: [], events: [here, bound, left, answers] }

mod silent {
    use duet_plugin::prelude::*;

    #[event(bind)]
    fn bound(_ctx: &mut Ctx) -> Result<()> {
        Ok(())
    }

    duet_plugin::plugin! { routes: [], events: [bound] }
}

fn harness() -> Harness<Plugin> {
    Harness::new()
}

#[test]
fn a_handler_may_have_several_events() {
    let port = |outcome: &Outcome| outcome.pushes()[0].json::<u16>();
    assert_eq!(port(&harness().event(EventKind::Connect, "192.0.2.1:80")), 80);
    assert_eq!(port(&harness().event(EventKind::Resume, "[2001:db8::1]:81")), 81);
}

#[test]
fn the_context_says_whose_event_it_is_and_the_codec_how_it_is_told() {
    let outcome = harness().conn(7).uid(Some(9)).event(EventKind::Bind, "");
    let told = Push { to: To::Channel("hall".to_owned()), route: 2, body: vec![9] };
    assert_eq!(outcome.effects(), [Effect::Push(told)]);
}

#[test]
fn an_error_takes_the_effects_back_and_becomes_a_log_line() {
    let mut harness = harness();
    assert_eq!(harness.conn(7).event(EventKind::Disconnect, "silence"), Outcome::default());
    let line = "event disconnect of connection 7: invalid digit found in string (code 1)";
    assert_eq!(harness.take_log(), [(Level::Warn, line.to_owned())]);
}

#[test]
fn an_event_has_no_answer() {
    let mut harness = harness();
    assert_eq!(harness.event(EventKind::Suspend, "lost"), Outcome::default());
    let (_, line) = harness.take_log().remove(0);
    assert_eq!(line, "event suspend of connection 1: an event has no answer (code 1)");
}

#[test]
fn an_event_without_a_handler_is_skipped() {
    let mut harness = Harness::<silent::Plugin>::new();
    assert_eq!(harness.event(EventKind::Connect, "192.0.2.1:80"), Outcome::default());
    assert_eq!(harness.take_log(), []);
}

#[test]
fn effects_carry_the_index_of_their_event() {
    let mut requests = [golden("connect"), golden("resume")].concat();
    let mut effects = Vec::new();
    Plugin::handle_batch(&mut requests, &mut effects).unwrap();
    let (first, second) = effects.split_at(effects.len() / 2);
    assert_eq!([first[8..12].to_vec(), second[8..12].to_vec()], [[0, 0, 0, 0], [1, 0, 0, 0]]);
    assert_eq!([&first[24..], &second[24..]], [b"80", b"81"]);
}

#[test]
fn a_detail_that_is_not_text_does_not_fit() {
    let mut request = golden("connect");
    request[32] = 0xff;
    assert_eq!(Plugin::handle_batch(&mut request, &mut Vec::new()), Err(MalformedBatch { request: 0 }));
}

#[test]
fn the_manifest_lists_the_events() {
    let events = |manifest: &str| manifest.split_once(r#","events":"#).map(|(_, events)| events.to_owned());
    assert_eq!(events(&Plugin::manifest()).as_deref(), Some(r#"["connect","resume","bind","disconnect","suspend"]}"#));
    assert_eq!(events(&silent::Plugin::manifest()).as_deref(), Some(r#"["bind"]}"#));
}

#[test]
fn a_handler_of_events_is_an_ordinary_function() {
    let event = Event { kind: EventKind::Connect, detail: "somewhere" };
    let (result, outcome) = harness().call(|ctx| here(ctx, event));
    assert_eq!((result, outcome), (Err(Error::handler("no address")), Outcome::default()));
}
