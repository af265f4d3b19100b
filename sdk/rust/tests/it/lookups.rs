//! What `sessions` answers in a test.

use duet_plugin::prelude::*;
use duet_plugin::sessions::{Counts, Presence};
use duet_plugin::testing::Harness;

#[route(1)]
fn whoami(ctx: &mut Ctx) -> Result<(String, Option<i64>)> {
    Ok((sessions::address(ctx.conn())?.to_string(), sessions::uid_of(ctx.conn())))
}

duet_plugin::plugin! { routes: [whoami] }

fn ask<T>(harness: &mut Harness<Plugin>, question: impl FnOnce() -> T) -> T {
    harness.call(|_| question()).0
}

#[test]
fn who_sends_is_known() {
    let mut harness = Harness::<Plugin>::new();
    let answer = |harness: &mut Harness<Plugin>| harness.send(1, "").json::<(String, Option<i64>)>();
    assert_eq!(answer(harness.conn(7).uid(Some(9))), ("192.0.2.1:1000".to_owned(), Some(9)));
    harness.event(EventKind::Resume, "[2001:db8::1]:80");
    assert_eq!(answer(harness.uid(None)), ("[2001:db8::1]:80".to_owned(), None));
}

#[test]
fn accounts_are_where_the_test_says() {
    let mut harness = Harness::<Plugin>::new();
    harness.session(7, Some(9), "192.0.2.7:80").session(8, Some(10), "192.0.2.8:80").suspended(8);
    let places = ask(&mut harness, || [9, 10, 11].map(|uid| (sessions::online(uid), sessions::conn_of(uid))));
    assert_eq!(places, [(Presence::Connected, Some(7)), (Presence::Suspended, Some(8)), (Presence::Offline, None)]);
    assert_eq!(ask(&mut harness, || sessions::address(8)), Ok("192.0.2.8:80".parse().unwrap()));
    assert_eq!(ask(&mut harness, sessions::counts), Counts { connections: 3, bound: 2, suspended: 1 });
}

#[test]
fn a_connection_that_has_ended_is_gone() {
    let mut harness = Harness::<Plugin>::new();
    harness.conn(7).uid(Some(9)).event(EventKind::Suspend, "lost");
    assert_eq!(ask(harness.conn(1).uid(None), || sessions::online(9)), Presence::Suspended);
    harness.conn(7).uid(Some(9)).event(EventKind::Disconnect, "lost");
    let gone = ask(harness.conn(1).uid(None), || (sessions::online(9), sessions::uid_of(7), sessions::address(7)));
    assert_eq!(gone, (Presence::Offline, None, Err(Error::handler("connection 7 is gone"))));
}

#[test]
fn channels_have_the_members_that_the_test_says() {
    let mut harness = Harness::<Plugin>::new();
    harness.members("hall", &[5, 6, 7]);
    let hall = ask(&mut harness, || (sessions::member_count("hall"), sessions::members("hall", 2)));
    assert_eq!(hall, (3, vec![5, 6]));
    assert_eq!(ask(&mut harness, || (sessions::member_count(""), sessions::members("", 2))), (0, vec![]));
}

#[test]
fn without_a_host_nobody_is_there() {
    assert_eq!((sessions::online(9), sessions::conn_of(9), sessions::members("hall", 9)), (Presence::Offline, None, vec![]));
    assert!(sessions::address(7).is_err());
}
