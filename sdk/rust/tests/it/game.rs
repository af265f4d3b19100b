//! Handlers, effects and what the host offers, through the harness.

use std::time::Duration;

use duet_plugin::log::Level;
use duet_plugin::prelude::*;
use duet_plugin::testing::{Harness, Push, To};
use duet_plugin::{clock, code, config};

const WHOAMI: i32 = 20;

#[derive(Deserialize)]
struct Greet<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Greeting {
    message: String,
}

#[route(1)]
fn greet<'a>(ctx: &mut Ctx, req: Greet<'a>) -> Result<Greeting> {
    ctx.push(ctx.conn(), 2, &Greeting { message: "pushed".to_owned() })?;
    Ok(Greeting { message: format!("hello {}", req.name) })
}

#[route(-3, authorized, internal)]
fn refuse(ctx: &mut Ctx, amount: u32) -> Result<()> {
    ctx.push_bytes(9, 9, b"must not be seen")?;
    ctx.reply(&amount)?;
    Err(Error::new(1000, "too expensive"))
}

#[route(WHOAMI)]
fn whoami(ctx: &mut Ctx) -> Result<(u64, Option<i64>, i32, i32)> {
    Ok((ctx.conn(), ctx.uid(), ctx.route(), ctx.seq()))
}

#[route(4)]
fn twice(ctx: &mut Ctx) -> Result<u32> {
    ctx.reply(&1)?;
    Ok(2)
}

#[route(5)]
fn parse(_ctx: &mut Ctx, text: &str) -> Result<u32, std::num::ParseIntError> {
    text.parse()
}

#[route(6)]
fn look_around(ctx: &mut Ctx) -> Result<()> {
    log::warn!("price {}", ctx.config::<u32>("shop.price")?);
    let numbers = (ctx.random(), ctx.random_below(6), ctx.random_bytes(70_000).len());
    ctx.reply(&(ctx.now().as_millis(), ctx.monotonic().as_micros(), numbers))
}

#[route(7)]
fn one_way(_ctx: &mut Ctx) -> Result<()> {
    Ok(())
}

fn on_start() -> Result<()> {
    log::info!("started at {}", clock::now().as_secs());
    config::get::<u32>("shop.price").map(drop)
}

fn on_stop() {
    log::info!("stopped");
}

duet_plugin::plugin! {
    routes: [greet, refuse, whoami, twice, parse, look_around, one_way],
    start: on_start,
    stop: on_stop,
    name: "shop",
}

fn harness() -> Harness<Plugin> {
    Harness::new()
}

#[test]
fn a_handler_replies_and_pushes() {
    let outcome = harness().conn(7).send(1, br#"{"name":"Ada"}"#);
    assert_eq!(outcome.json::<Greeting>(), Greeting { message: "hello Ada".to_owned() });
    assert_eq!(outcome.pushes(), [&Push { to: To::One(Conn(7)), route: 2, body: br#"{"message":"pushed"}"#.to_vec() }]);
    assert_eq!(outcome.error(), None);
}

#[test]
fn a_handler_can_be_called_directly() {
    let (greeting, outcome) = harness().call(|ctx| greet(ctx, Greet { name: "Ada".into() }));
    assert_eq!(greeting.unwrap().message, "hello Ada");
    assert_eq!(outcome.pushes().len(), 1);
}

#[test]
fn an_error_takes_back_the_effects_of_its_request() {
    let outcome = harness().send_json(-3, &5);
    assert_eq!(outcome.error(), Some(&Error::new(1000, "too expensive")));
    assert_eq!((outcome.reply(), outcome.effects()), (None, [].as_slice()));
}

#[test]
fn any_standard_error_is_sent_with_the_code_of_a_failed_handler() {
    assert_eq!(harness().send_json(5, "12").json::<u32>(), 12);
    assert_eq!(harness().send_json(5, "x").error(), Some(&Error::new(code::HANDLER, "invalid digit found in string")));
}

#[test]
fn a_second_answer_is_an_error() {
    assert_eq!(harness().send(4, "").error().unwrap().message(), "the message is answered twice");
}

#[test]
fn a_handler_may_stay_silent() {
    assert_eq!(harness().send(7, ""), duet_plugin::testing::Outcome::default());
}

#[test]
fn the_context_says_who_sent_the_message() {
    let mut harness = harness();
    type Whoami = (u64, Option<i64>, i32, i32);
    assert_eq!(harness.send(WHOAMI, "").json::<Whoami>(), (1, None, WHOAMI, 1));
    assert_eq!(harness.conn(8).uid(Some(42)).send(WHOAMI, "").json::<Whoami>(), (8, Some(42), WHOAMI, 2));
}

#[test]
fn an_undecodable_body_and_an_unknown_route_have_codes_of_their_own() {
    assert_eq!(harness().send(1, "{}").error(), Some(&Error::new(code::BAD_REQUEST, "bad request: missing field `name`")));
    assert_eq!(harness().send(99, "{}").error(), Some(&Error::new(code::UNKNOWN_ROUTE, "this plugin has no route 99")));
}

#[test]
fn the_harness_gives_clock_configuration_random_numbers_and_the_log() {
    let mut harness = harness();
    assert_eq!(harness.start().unwrap_err().message(), "no config value `shop.price`");
    harness.config("shop.price", "12").advance(Duration::from_millis(250));
    harness.start().unwrap();
    let outcome = harness.send(6, "");
    let (now, monotonic, (_, dice, bytes)) = outcome.json::<(u64, u64, (u32, u32, usize))>();
    assert_eq!((now, monotonic, bytes), (1_000_000_250, 250_000, 70_000));
    assert!(dice < 6);
    harness.stop();
    let lines = harness.take_log();
    assert_eq!(lines[0], (Level::Info, "started at 1000000".to_owned()));
    assert_eq!(lines[2..], [(Level::Warn, "price 12".to_owned()), (Level::Info, "stopped".to_owned())]);
    harness.seed(5);
    let first = harness.send(6, "");
    assert_eq!(harness.seed(5).send(6, ""), first, "the same seed draws the same numbers");
}

#[test]
fn a_config_value_of_another_type_is_an_error_that_names_it() {
    let outcome = harness().config("shop.price", "\"dear\"").send(6, "");
    let message = outcome.error().unwrap().message();
    assert!(message.starts_with("config value `shop.price`: bad request: invalid type: string \"dear\""), "{message}");
}

#[test]
fn the_manifest_lists_routes_and_flags() {
    let manifest = Plugin::manifest();
    let expected = r#"{"name":"shop","version":"0.1.0","packed":1,"routes":[{"route":1,"name":"greet"},"#;
    assert!(manifest.starts_with(expected), "{manifest}");
    assert!(manifest.contains(r#"{"route":-3,"name":"refuse","authorized":true,"internal":true}"#), "{manifest}");
}
