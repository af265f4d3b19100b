//! What the runtime counts of its plugins.

use std::time::Duration;

use duet_core::{ErrorCode, RequestKind, Route};
use duet_runtime::{Counts, PluginOptions, PluginSnapshot};

use crate::rig::{CONN, Rig, event, in_one_read, message, requests};
use crate::told;

fn only(rig: &Rig) -> PluginSnapshot {
    rig.idle();
    let mut all = rig.runtime.snapshot();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn of(plugin: &PluginSnapshot, route: Option<i32>) -> Counts {
    plugin.routes.iter().find(|(known, _)| known.map(|route| route.0) == route).unwrap().1
}

fn numbers(counts: Counts) -> [u64; 3] {
    [counts.requests, counts.errors, counts.faults]
}

#[test]
fn a_snapshot_says_of_each_route_what_was_handled_failed_and_took_how_long() {
    let rig = Rig::with_single(PluginOptions { faults_max: 1000, ..PluginOptions::default() });
    for _ in 0..3 {
        rig.reply(211, b"echo");
    }
    assert_eq!(rig.refusal(210, b"").0, ErrorCode::HANDLER);
    assert_eq!(rig.refusal(207, b"").0, ErrorCode::PLUGIN_FAULT);
    let plugin = only(&rig);
    assert_eq!((plugin.name.as_str(), plugin.calls, plugin.faults, plugin.is_quarantined), ("single", 5, 1, false));
    assert_eq!(plugin.in_flight, [0]);
    assert_eq!(plugin.hash.as_ref().map(String::len), Some(64));
    assert_eq!([211, 210, 207, 212].map(|route| numbers(of(&plugin, Some(route)))), [[3, 0, 0], [1, 1, 0], [1, 0, 1], [0, 0, 0]]);
    assert!(of(&plugin, Some(211)).guest_time > Duration::ZERO);
    assert_eq!(of(&plugin, Some(212)).guest_time, Duration::ZERO);
    assert_eq!(numbers(plugin.total()), [5, 1, 1]);
}

#[test]
fn of_a_batch_that_fails_each_request_counts_once() {
    let rig = Rig::with_single(PluginOptions { faults_max: 1000, ..PluginOptions::default() });
    let list: Vec<(u64, i32, i32, &[u8])> =
        (1..101).map(|seq| (CONN.0, if seq % 50 == 0 { 207 } else { 211 }, seq, b"x".as_slice())).collect();
    rig.send(requests(&list));
    let plugin = only(&rig);
    assert_eq!([211, 207].map(|route| numbers(of(&plugin, Some(route)))), [[98, 0, 0], [2, 0, 2]]);
}

#[test]
fn events_have_counts_of_their_own_and_what_waits_is_seen() {
    told::gated!(ENTERED, OPEN, handler, 1);
    let rig = Rig::with(duet_runtime::RuntimeOptions { workers: 1, ..duet_runtime::RuntimeOptions::default() });
    told::serve(&rig, 11, &["connect"], handler, PluginOptions::default());
    rig.send(in_one_read(&[event(RequestKind::Connect, 1, 0, ""), message(1, 0, 11, 1, b""), message(1, 0, 11, 2, b"")]));
    ENTERED.wait_for(1);
    assert_eq!(rig.runtime.snapshot()[0].in_flight, [3]);
    OPEN.raise();
    let plugin = only(&rig);
    assert_eq!((plugin.in_flight.as_slice(), plugin.hash.as_deref()), ([0].as_slice(), None));
    assert_eq!([None, Some(11)].map(|route| numbers(of(&plugin, route))), [[1, 0, 0], [2, 0, 0]]);
    assert!(plugin.routes.iter().map(|(route, _)| *route).eq([Some(Route(11)), None]));
}
