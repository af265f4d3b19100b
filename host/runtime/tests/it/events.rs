//! Events of connections: who gets them, in which order, and what becomes of them when a plugin is late or broken.

use std::time::Duration;

use duet_core::RequestKind::{Bind, Connect, Disconnect, Resume, Suspend};
use duet_core::packed::RequestIter;
use duet_core::{Dispatch, ErrorCode};
use duet_runtime::{PluginOptions, RuntimeOptions};

use crate::gate::{self, LANES, Lane, wanting};
use crate::rig::{Rig, Sent, event, in_one_read, message, outlast};
use crate::told::{gated, serve, tell, whats};

fn rig(workers: usize) -> Rig {
    Rig::with(RuntimeOptions { workers, ..RuntimeOptions::default() })
}

#[test]
fn events_reach_exactly_the_plugins_that_name_them_in_order_with_the_messages() {
    let rig = rig(2);
    serve(&rig, 1, &["connect", "disconnect", "suspend", "resume"], tell::<1>, PluginOptions::default());
    serve(&rig, 2, &["bind"], tell::<2>, PluginOptions::default());
    serve(&rig, 3, &[], tell::<3>, PluginOptions::default());
    serve(&rig, 4, &["bind", "bind"], tell::<4>, PluginOptions::default());
    let of = |conn| {
        [
            event(Connect, conn, 0, "192.0.2.1:80"),
            message(conn, 0, 1, 1, b""),
            message(conn, 0, 3, 2, b""),
            event(Bind, conn, 9, ""),
            message(conn, 9, 2, 3, b""),
            message(conn, 9, 1, 4, b""),
            event(Suspend, conn, 9, "lost"),
            event(Resume, conn, 9, "192.0.2.1:81"),
            message(conn, 9, 1, 5, b""),
            message(conn, 9, 3, 6, b""),
            event(Disconnect, conn, 9, "silence"),
        ]
    };
    let mixed: Vec<_> = of(1).into_iter().zip(of(2)).flat_map(|(a, b)| [a, b]).collect();
    rig.send(in_one_read(&mixed));
    for one in of(3) {
        rig.send(in_one_read(&[one]));
    }
    rig.idle();
    let sent = rig.seen.wait_for(0);
    for conn in 1..4 {
        let first = ["connect 0 192.0.2.1:80", "message 0 1", "message 9 4", "suspend 9 lost", "resume 9 192.0.2.1:81", "message 9 5"];
        assert_eq!(whats(&sent, 1, conn), [first.as_slice(), &["disconnect 9 silence"]].concat());
        assert_eq!(whats(&sent, 2, conn), ["bind 9 ", "message 9 3"]);
        assert_eq!(whats(&sent, 3, conn), ["message 0 2", "message 9 6"]);
        assert_eq!(whats(&sent, 4, conn), ["bind 9 "], "to name an event twice is to name it");
    }
    assert_eq!(sent.len(), 3 * 12);
    eprintln!("events: 3 connections with 5 events and 6 messages each, told to 4 plugins as they wanted it");
}

#[test]
fn events_that_nobody_wants_are_taken_and_forgotten() {
    let rig = Rig::new();
    rig.send(in_one_read(&[event(Connect, 1, 0, "192.0.2.1:80")]));
    serve(&rig, 1, &["bind"], tell::<1>, PluginOptions::default());
    rig.send(in_one_read(&[event(Connect, 1, 0, "192.0.2.1:80"), event(Disconnect, 1, 0, "silence")]));
    assert!(rig.runtime.is_idle());
    assert_eq!(rig.seen.count(), 0);
    eprintln!("events: 3 that nobody wanted left nothing behind");
}

#[test]
fn events_are_handled_however_long_they_waited() {
    gated!(ENTERED, OPEN, handler, 1);
    let rig = rig(1);
    let timeout = Duration::from_millis(2);
    let options = PluginOptions { queue_timeout: timeout, ..PluginOptions::default() };
    serve(&rig, 1, &["connect", "disconnect"], handler, options);
    rig.send(in_one_read(&[event(Connect, 1, 0, "first")]));
    ENTERED.wait_for(1);
    for conn in [2, 3] {
        rig.send(in_one_read(&[
            event(Connect, conn, 0, "late"),
            message(conn, 0, 1, 1, b""),
            message(conn, 0, 1, 2, b""),
            event(Disconnect, conn, 0, "silence"),
        ]));
    }
    outlast(timeout);
    OPEN.raise();
    rig.idle();
    let sent = rig.seen.wait_for(0);
    for conn in [2, 3] {
        assert_eq!(whats(&sent, 1, conn), ["connect 0 late", "disconnect 0 silence"]);
    }
    let late: Vec<_> = sent.iter().filter_map(Sent::code).collect();
    assert_eq!(late, [ErrorCode::TIMEOUT; 4]);
    assert_eq!(sent.len(), 1 + 4 + 4);
    eprintln!("events: 4 that were late were handled, 4 late messages were not");
}

#[test]
fn events_for_a_plugin_out_of_service_are_dropped_without_an_answer() {
    fn broken(list: &mut [u8], effects: &mut Vec<u8>) {
        match RequestIter::new(list).any(|asked| asked.body == b"bad") {
            true => effects.push(0),
            false => tell::<1>(list, effects),
        }
    }
    gated!(ENTERED, OPEN, handler, 2);
    let rig = rig(2);
    let options = PluginOptions { faults_max: 1, quarantine: Duration::from_secs(60), ..PluginOptions::default() };
    serve(&rig, 1, &["connect", "disconnect"], broken, options);
    serve(&rig, 2, &["connect"], handler, PluginOptions::default());
    // Some of these wait in the queue already when the plugin goes out of service.
    rig.send(in_one_read(&[
        message(1, 0, 1, 1, b"bad"),
        event(Connect, 1, 0, "here"),
        message(1, 0, 1, 2, b""),
        event(Disconnect, 1, 0, "silence"),
    ]));
    ENTERED.wait_for(1);
    let sent = rig.seen.wait_for(2);
    assert_eq!(
        sent.iter().map(|s| (s.seq(), s.code())).collect::<Vec<_>>(),
        [(1, Some(ErrorCode::PLUGIN_FAULT)), (2, Some(ErrorCode::UNAVAILABLE))]
    );
    for _ in 0..3 {
        rig.send(in_one_read(&[event(Connect, 2, 0, ""), message(2, 0, 1, 3, b""), event(Disconnect, 2, 0, "")]));
    }
    OPEN.raise();
    rig.idle();
    let sent = rig.seen.wait_for(0);
    assert_eq!(sent.iter().filter(|s| s.code() == Some(ErrorCode::UNAVAILABLE)).count(), 4);
    assert_eq!(whats(&sent, 1, 1).len() + whats(&sent, 1, 2).len(), 0, "nobody was told");
    assert_eq!((whats(&sent, 2, 1).len(), whats(&sent, 2, 2).len()), (1, 3), "another plugin has its events");
    assert_eq!(sent.len(), 5 + 4);
    eprintln!("events: 8 for a plugin out of service were dropped, 4 messages answered, another plugin undisturbed");
}

#[test]
fn a_plain_guest_gets_its_events_beside_its_messages() {
    for lane in LANES {
        let rig = gate::rig(lane, wanting(&["connect", "bind", "disconnect", "suspend", "resume"]));
        let last = (1 << 53) - 1;
        rig.send(in_one_read(&[
            event(Connect, last, 0, "[2001:db8::1]:4711"),
            message(last, 0, 319, 1, b"one"),
            event(Bind, last, i64::MAX, ""),
            message(last, i64::MAX, 319, 2, b"two"),
            event(Suspend, last, i64::MAX, "lost"),
            event(Resume, last, i64::MAX, "192.0.2.1:80"),
            event(Disconnect, last, i64::MAX, "Grüße"),
        ]));
        rig.idle();
        let told = |kind: i32, uid: i64, detail: &str| {
            let body = [&uid.to_le_bytes(), detail.as_bytes()].concat();
            Sent::Message { conn: last, route: kind, seq: 0, body }
        };
        let reply = |seq, body: &[u8]| Sent::Message { conn: last, route: 319, seq, body: body.to_vec() };
        assert_eq!(
            rig.seen.wait_for(0),
            [
                told(1, 0, "[2001:db8::1]:4711"),
                reply(1, b"one"),
                told(2, i64::MAX, ""),
                reply(2, b"two"),
                told(4, i64::MAX, "lost"),
                told(5, i64::MAX, "192.0.2.1:80"),
                told(3, i64::MAX, "Grüße"),
            ]
        );
    }
    eprintln!("plain handler: 5 events and 2 messages in order, in both lanes");
}

#[test]
fn a_trap_in_an_event_is_a_fault_and_answers_nobody() {
    for lane in LANES {
        let options = PluginOptions { faults_max: 3, quarantine: Duration::from_secs(60), ..wanting(&["suspend"]) };
        let rig = gate::rig(lane, options);
        for _ in 0..5 {
            rig.reply(319, b"warm");
        }
        let before = rig.seen.count();
        let trap = || event(Suspend, 1, 9, "trap");
        rig.send(in_one_read(&[message(1, 9, 319, 7, b"a"), trap(), message(1, 9, 319, 8, b"b")]));
        rig.idle();
        let reply = |seq, body: &[u8]| Sent::Message { conn: 1, route: 319, seq, body: body.to_vec() };
        assert_eq!(rig.seen.wait_for(0).split_off(before), [reply(7, b"a"), reply(8, b"b")], "its neighbours are answered once");
        rig.send(in_one_read(&[trap()]));
        rig.idle();
        assert_eq!(rig.reply(319, b"still"), b"still");
        rig.send(in_one_read(&[trap()]));
        rig.idle();
        assert_eq!(rig.refusal(319, b"").0, ErrorCode::UNAVAILABLE, "three of them put it out of service");
        assert_eq!(rig.seen.count(), before + 4, "nobody is told, and nothing they pushed went out");
    }
    eprintln!("events: 3 traps in each lane counted as faults, nobody was answered for them");
}

#[test]
fn late_events_that_fail_are_faults_like_others() {
    gated!(ENTERED, OPEN, waits, 2);
    fn handler(list: &mut [u8], effects: &mut Vec<u8>) {
        waits(list, &mut Vec::new());
        match RequestIter::new(list).any(|asked| asked.body == b"bad") {
            true => effects.push(0),
            false => tell::<1>(list, effects),
        }
    }
    let rig = rig(1);
    let timeout = Duration::from_millis(2);
    let options = PluginOptions { queue_timeout: timeout, faults_max: 1, quarantine: Duration::from_secs(60), ..PluginOptions::default() };
    serve(&rig, 1, &["connect"], handler, options);
    rig.send(in_one_read(&[event(Connect, 1, 0, "first")]));
    ENTERED.wait_for(1);
    rig.send(in_one_read(&[event(Connect, 2, 0, "bad"), message(2, 0, 1, 1, b"")]));
    outlast(timeout);
    OPEN.raise();
    rig.idle();
    let sent = rig.seen.wait_for(0);
    assert_eq!(whats(&sent, 1, 1), ["connect 0 first"]);
    // Late, or already out of service: it depends on how many were in the call.
    let code = sent.iter().find_map(Sent::code).unwrap();
    assert!([ErrorCode::TIMEOUT, ErrorCode::UNAVAILABLE].contains(&code), "{code}");
    assert_eq!(sent.len(), 2);
    rig.send(in_one_read(&[message(3, 0, 1, 1, b"")]));
    assert_eq!(rig.seen.wait_for(3)[2].code(), Some(ErrorCode::UNAVAILABLE));
    eprintln!("events: a late one that failed put its plugin out of service");
}

#[test]
fn a_plugin_that_wants_no_event_is_not_called_for_one() {
    let rig = gate::rig(Lane::Sync, wanting(&["bind"]));
    rig.send(in_one_read(&[event(Connect, 1, 0, "trap"), event(Disconnect, 1, 0, "trap"), event(Bind, 1, 9, "")]));
    rig.idle();
    let body = 9i64.to_le_bytes().to_vec();
    assert_eq!(rig.seen.wait_for(0), [Sent::Message { conn: 1, route: 2, seq: 0, body }]);
    eprintln!("plain handler: of 3 events the one it names");
}
