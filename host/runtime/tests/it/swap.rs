//! Code that is exchanged while it serves.

mod counter;
mod endurance;
mod given_back;
mod sdk;
mod streams;

use std::time::Duration;

use duet_core::{ErrorCode, Registry as _, Route};
use duet_runtime::{Affinity, Happened, Instances, PluginOptions, RuntimeOptions, StateMoved};

use duet_testkit::Kept;

use crate::rig::Rig;
use counter::{Counter, count};

fn options() -> PluginOptions {
    PluginOptions { faults_max: 1000, ..PluginOptions::default() }
}

#[test]
fn the_new_version_goes_on_with_the_state_of_the_old_one() {
    let rig = Rig::new();
    Counter::new(1).serve(&rig, "counter", options());
    assert_eq!([count(&rig), count(&rig)], [(1, 1), (2, 1)]);
    let new = Counter { state: Some(r#"{"schema":2,"reads":[1,2]}"#), ..Counter::new(2) };
    let swapped = new.swap(&rig, "counter", options(), false).unwrap();
    assert_eq!((swapped.from.version.as_str(), swapped.to.version.as_str()), ("1", "2"));
    assert_eq!((swapped.state, swapped.state_bytes), (StateMoved::Kept, 8));
    assert_eq!(count(&rig), (3, 2));
    let snapshot = rig.runtime.snapshot().remove(0);
    assert_eq!((snapshot.version.as_str(), &snapshot.hash, snapshot.state), ("2", &swapped.to.hash, Some(StateMoved::Kept)));
    assert_eq!((snapshot.total().requests, snapshot.memory_bytes), (1, 4 << 16), "its own counts, and one instance");
}

#[test]
fn what_is_not_kept_is_lost_and_told_unless_there_is_nothing_to_keep() {
    let rig = Rig::new();
    let log = Kept::of_process();
    for (name, state, moved) in [("forgetful", None, StateMoved::Lost), ("plain", Some("\"none\""), StateMoved::Nothing)] {
        let counter = |number| Counter { state, ..Counter::new(number) };
        counter(1).serve(&rig, name, options());
        assert_eq!([count(&rig), count(&rig)], [(1, 1), (2, 1)]);
        assert_eq!(counter(2).swap(&rig, name, options(), false).unwrap().state, moved);
        assert_eq!(count(&rig), (1, 2));
        rig.runtime.withdraw(name).unwrap();
    }
    let lines = log.wait_for("begins anew");
    assert!(lines.iter().any(|line| line.contains("forgetful")) && !lines.iter().any(|line| line.contains("\"plain\"")), "{lines:?}");
}

#[test]
fn routes_and_events_are_those_of_the_new_version_at_once() {
    let rig = Rig::new();
    Counter { routes: &[1, 9], ..Counter::new(1) }.serve(&rig, "counter", options());
    count(&rig);
    Counter { routes: &[1, 2, 10], ..Counter::new(2) }.swap(&rig, "counter", options(), false).unwrap();
    let served = |route| rig.registry.routes().get(Route(route)).is_some();
    assert_eq!([1, 2, 9, 10].map(served), [true, true, false, true]);
    assert_eq!(rig.refusal(9, b"").0, ErrorCode::UNKNOWN_ROUTE);
    assert_eq!(counter::counted(&rig.reply(10, b"")), (2, 2));
}

#[test]
fn number_of_instances_and_affinity_stay_until_a_restart() {
    let rig = Rig::with(RuntimeOptions { workers: 2, ..RuntimeOptions::default() });
    let log = Kept::of_process();
    let two = PluginOptions { instances: Instances::Fixed(2), ..options() };
    Counter::new(1).serve(&rig, "steady", two);
    let other = PluginOptions { instances: Instances::Fixed(3), affinity: Affinity::Any, ..options() };
    Counter::new(2).swap(&rig, "steady", other, false).unwrap();
    assert_eq!(rig.runtime.snapshot().remove(0).in_flight.len(), 2);
    let lines = log.wait_for("plugin=\"steady\" ");
    assert!(lines.iter().any(|line| line.contains("goes on with 2 instances")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("goes on with its `affinity`")), "{lines:?}");
}

#[test]
fn the_history_tells_what_happened_and_one_can_go_back() {
    let rig = Rig::new();
    let versions: Vec<Counter> = (1..=3).map(Counter::new).collect();
    versions[0].serve(&rig, "counter", options());
    count(&rig);
    versions[1].swap(&rig, "counter", options(), false).unwrap();
    versions[2].swap(&rig, "counter", options(), false).unwrap();
    assert_eq!(count(&rig), (2, 3));
    let back = rig.runtime.roll_back("counter", None).unwrap();
    assert_eq!((back.to.version.as_str(), back.state), ("2", StateMoved::Kept));
    assert_eq!(count(&rig), (3, 2));
    let first = rig.runtime.history("counter").last().unwrap().version.clone();
    let back = rig.runtime.roll_back("counter", Some(&first.hash.unwrap()[..12])).unwrap();
    assert_eq!((back.to.version.as_str(), count(&rig)), ("1", (4, 1)));
    let history = rig.runtime.history("counter");
    let told: Vec<(Happened, &str)> = history.iter().rev().map(|change| (change.what, &*change.version.version)).collect();
    let (swapped, rolled_back) = (Happened::Swapped, Happened::RolledBack);
    assert_eq!(told, [(Happened::Served, "1"), (swapped, "2"), (swapped, "3"), (rolled_back, "2"), (rolled_back, "1")]);
    assert!(history[0].why.starts_with("instead of 2 (") && history[0].why.ends_with("; state kept"), "{}", history[0].why);
    assert!(rig.runtime.history("nobody").is_empty());
}

#[test]
fn only_versions_whose_code_is_still_there_can_be_gone_back_to() {
    let rig = Rig::new();
    let few = PluginOptions { versions_kept: 1, ..options() };
    Counter::new(1).serve(&rig, "counter", few.clone());
    assert!(rig.runtime.roll_back("counter", None).unwrap_err().reason().contains("is known"));
    let first = rig.runtime.snapshot().remove(0).hash.unwrap();
    Counter::new(2).swap(&rig, "counter", few.clone(), false).unwrap();
    Counter::new(3).swap(&rig, "counter", few, false).unwrap();
    let error = rig.runtime.roll_back("counter", Some(&first[..8])).unwrap_err().to_string();
    assert!(error.contains(&format!("a hash that begins with `{}`", &first[..8])), "{error}");
    std::fs::remove_dir_all(rig.folder().join("cache")).unwrap();
    let error = rig.runtime.roll_back("counter", None).unwrap_err().to_string();
    assert!(error.contains("is not in the cache any more") && error.contains("counter.wasm"), "{error}");
    assert_eq!(count(&rig), (1, 3));
}

#[test]
fn a_plugin_that_is_withdrawn_handles_what_it_was_given_and_its_name_is_free() {
    let rig = Rig::new();
    Counter::new(1).serve(&rig, "counter", options());
    let list: Vec<(u64, i32, i32, &[u8])> = (1..=500).map(|seq| (5, 1, seq, b"".as_slice())).collect();
    rig.send(crate::rig::requests(&list));
    rig.runtime.withdraw("counter").unwrap();
    assert_eq!(rig.seen.count(), 500);
    assert!(rig.registry.routes().get(Route(1)).is_none() && rig.runtime.snapshot().is_empty());
    assert!(rig.runtime.withdraw("counter").unwrap_err().to_string().contains("no plugin of this name serves"));
    Counter::new(2).serve(&rig, "counter", options());
    assert_eq!(count(&rig), (1, 2));
}

#[test]
fn each_line_of_a_plugin_says_which_version_wrote_it() {
    let rig = Rig::new();
    let log = Kept::of_process();
    Counter::new(7).serve(&rig, "whose", PluginOptions { faults_max: 1, quarantine: Duration::from_millis(10), ..options() });
    let hash = rig.runtime.snapshot().remove(0).hash.unwrap();
    assert_eq!(rig.refusal(2, b"").0, ErrorCode::PLUGIN_FAULT);
    let lines = log.wait_for("plugin=whose ");
    assert!(lines.iter().all(|line| line.contains(&format!("version=7 hash=\"{}\"", &hash[..12]))), "{lines:?}");
}
