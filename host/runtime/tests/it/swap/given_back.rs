//! Exchanges that fail: the old version goes on with its memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use duet_core::{Counts, Effect, Egress, ErrorCode};
use duet_runtime::{Happened, Instances, PluginOptions, RuntimeOptions, StateMoved};
use duet_testkit::Nobody;

use super::counter::{Counter, count};
use super::options;
use crate::rig::{Flag, Rig, Seen, requests};

/// A gate that lets whoever asks for its numbers wait.
#[derive(Default)]
struct Slow {
    asked: Flag,
    open: Flag,
}

impl Slow {
    fn rig(self: &Arc<Self>) -> Rig {
        let slow = Arc::clone(self);
        let directory = Nobody::counted_by(move || {
            slow.asked.raise();
            slow.open.wait_for(1);
            Counts::default()
        });
        Rig::asking(RuntimeOptions { workers: 1, ..RuntimeOptions::default() }, Arc::default(), Arc::new(directory))
    }
}

/// What has little time for its state, so that one that never returns is found out soon.
fn hasty() -> PluginOptions {
    PluginOptions { state_timeout: Duration::from_millis(50), ..options() }
}

#[test]
fn whatever_keeps_a_new_version_from_serving_costs_the_old_one_nothing() {
    let rig = Rig::new();
    Counter::new(1).serve(&rig, "counter", options());
    Counter { routes: &[77], ..Counter::new(1) }.serve(&rig, "other", options());
    for expected in 1..=5 {
        assert_eq!(count(&rig), (expected, 1));
    }
    let new = Counter::new(2);
    let no = "(return (call $no))";
    let cases = [
        ("`restore` answered: no", Counter { restore: no, ..new }),
        ("`restore` failed: wasm trap", Counter { restore: "unreachable", ..new }),
        ("`restore` ran longer than what was left of 50ms", Counter { restore: "(return (call $forever))", ..new }),
        ("`restore` failed: memory limit of 64 MiB reached", Counter { restore: "(call $leak (i32.const 1024))", ..new }),
        ("its state is of schema 1, and the new version restores 2", Counter { state: Some(r#"{"schema":2}"#), ..new }),
        ("its state is of schema 1, and the new version has no state", Counter { state: None, ..new }),
        ("its state is of schema 1, and the new version has no state", Counter { state: Some("\"none\""), ..new }),
        ("it lacks route 1, called within the last hour", Counter { routes: &[2, 3, 4], ..new }),
        ("route 77 is already served by plugin `other`", Counter { routes: &[1, 77], ..new }),
        ("`start` answered: no", Counter { start: no, ..new }),
        ("`start` failed: wasm trap", Counter { start: "unreachable", ..new }),
        ("`start` ran longer than 1 s", Counter { start: "(return (call $forever))", ..new }),
    ];
    for (number, (reason, version)) in cases.iter().enumerate() {
        let error = version.swap(&rig, "counter", hasty(), false).unwrap_err();
        assert!(error.reason().contains(reason), "{} instead of {reason}", error.reason());
        assert!(error.to_string().starts_with("plugin `counter`: 1 ("), "{error}");
        assert_eq!(count(&rig), (6 + number as u64, 1), "{reason}");
        let told = rig.runtime.history("counter").remove(0);
        assert_eq!((told.what, &*told.version.version, told.why), (Happened::Refused, "2", error.reason()));
    }
    assert_eq!(new.swap(&rig, "counter", options(), false).unwrap().state, StateMoved::Kept);
    eprintln!("swap: {} versions refused, and the old one counted on", cases.len());
}

#[test]
fn by_force_routes_and_state_may_go() {
    let rig = Rig::new();
    Counter::new(1).serve(&rig, "counter", options());
    assert_eq!(count(&rig), (1, 1));
    let fewer = Counter { routes: &[5], ..Counter::new(2) };
    assert_eq!(fewer.swap(&rig, "counter", options(), true).unwrap().state, StateMoved::Kept);
    assert_eq!(rig.refusal(1, b"").0, ErrorCode::UNKNOWN_ROUTE);
    let other = Counter { state: Some(r#"{"schema":9}"#), ..Counter::new(3) };
    assert_eq!(other.swap(&rig, "counter", options(), true).unwrap().state, StateMoved::Lost);
    assert_eq!(count(&rig), (1, 3));
    let error = Counter { restore: "unreachable", state: Some(r#"{"schema":9}"#), ..Counter::new(4) };
    assert!(error.swap(&rig, "counter", options(), true).is_err(), "a new version that fails is refused all the same");
    assert_eq!(count(&rig), (2, 3));
}

#[test]
fn a_save_that_answers_an_error_costs_nothing_and_one_that_ends_in_a_fault_costs_the_instance() {
    for (save, reason, goes_on_with) in [
        ("(return (call $no))", "`save` answered: no", 3),
        ("unreachable", "`save` failed: wasm trap", 1),
        ("(return (call $forever))", "`save` ran longer", 1),
        (
            "(call $leak (i32.const 64)) (return (call $answer (i32.const 0) (i32.const 0) (i32.const 4194305)))",
            "`save` answered: a piece of 4194305 bytes; it may have 4194304",
            3,
        ),
        ("(return (call $answer (i32.const 0) (i32.const 0) (i32.const 4194305)))", "`save` failed: list pointer/length out of bounds", 1),
    ] {
        let rig = Rig::new();
        Counter { save, ..Counter::new(1) }.serve(&rig, "counter", options());
        assert_eq!([count(&rig), count(&rig)], [(1, 1), (2, 1)]);
        let error = Counter::new(2).swap(&rig, "counter", hasty(), false).unwrap_err();
        assert!(error.reason().contains(reason), "{}", error.reason());
        assert_eq!(count(&rig), (goes_on_with, 1), "{save}");
    }
}

#[test]
fn pieces_without_end_are_too_many() {
    let rig = Rig::new();
    let endless = "(return (call $answer (i32.const 0) (i32.const 1024) (i32.const 1)))";
    Counter { save: endless, ..Counter::new(1) }.serve(&rig, "counter", options());
    count(&rig);
    let error = Counter { restore: "(return (call $ok))", ..Counter::new(2) }.swap(&rig, "counter", hasty(), false).unwrap_err();
    assert!(error.reason().contains("ran longer than what was left of 50ms"), "{}", error.reason());
}

#[test]
fn a_panic_of_the_host_in_save_or_restore_is_a_fault_of_that_version() {
    for (in_save, in_restore, function, goes_on_with) in [("(call $ask)", "", "save", 1), ("", "(call $ask)", "restore", 2)] {
        let rig = Rig::new();
        Counter { save: in_save, ..Counter::new(1) }.serve(&rig, "counter", options());
        count(&rig);
        rig.seen.panics.store(true, Ordering::SeqCst);
        let error = Counter { restore: in_restore, ..Counter::new(2) }.swap(&rig, "counter", options(), false).unwrap_err();
        assert!(error.reason().contains(&format!("`{function}` failed: a function of the host panicked")), "{}", error.reason());
        assert_eq!(count(&rig), (goes_on_with, 1), "{function}");
        rig.seen.panics.store(false, Ordering::SeqCst);
    }
}

#[test]
fn of_several_instances_all_are_exchanged_or_none() {
    let rig = Rig::with(RuntimeOptions { workers: 2, ..RuntimeOptions::default() });
    let three = PluginOptions { instances: Instances::Fixed(3), ..options() };
    Counter::new(1).serve(&rig, "counter", three.clone());
    let list: Vec<(u64, i32, i32, &[u8])> = (1..=90).map(|conn| (conn, 1, 1, b"".as_slice())).collect();
    rig.send(requests(&list));
    rig.idle();
    let of = |conn: u64| {
        let before = rig.seen.count();
        rig.send(requests(&[(conn, 1, 1, b"")]));
        match &rig.seen.wait_for(before + 1)[before] {
            crate::rig::Sent::Message { body, .. } => super::counter::counted(body),
            other => panic!("{other:?}"),
        }
    };
    let total = |from: u64| (1..=90).map(|conn| of(conn + from)).collect::<Vec<_>>();
    let highest = total(0).iter().map(|(count, _)| *count).max().unwrap();
    // Not that of the first instance alone, or of none.
    let refuses = format!("(if (i64.ge_u (i64.load (local.get $place)) (i64.const {highest})) (then (return (call $no))))");
    let refuses = format!("(if (local.get $bytes) (then {refuses}))").leak();
    let error = Counter { restore: refuses, ..Counter::new(2) }.swap(&rig, "counter", three.clone(), false).unwrap_err();
    assert!(error.reason().contains("`restore` answered: no"), "{}", error.reason());
    assert!(total(0).iter().all(|(count, version)| *count > 2 && *version == 1));
    Counter::new(3).swap(&rig, "counter", three, false).unwrap();
    assert!(total(0).iter().all(|(count, version)| *count > 3 && *version == 3));
}

#[test]
fn a_slot_whose_instance_is_gone_has_nothing_to_hand_over() {
    let rig = Rig::new();
    Counter::new(1).serve(&rig, "counter", options());
    count(&rig);
    assert_eq!(rig.refusal(2, b"").0, ErrorCode::PLUGIN_FAULT);
    let swapped = Counter { restore: "unreachable", ..Counter::new(2) }.swap(&rig, "counter", options(), false).unwrap();
    assert_eq!((swapped.state, count(&rig)), (StateMoved::Nothing, (1, 2)));
}

#[test]
fn a_slot_in_a_call_gives_way_when_the_call_ends() {
    let slow = Arc::<Slow>::default();
    let rig = slow.rig();
    Counter { handle: "(call $ask)", ..Counter::new(1) }.serve(&rig, "counter", options());
    let loaded = rig.runtime.loader().load(&Counter::new(2).file(&rig, "counter"), options()).unwrap();
    let swapped = std::thread::scope(|scope| {
        rig.send(requests(&[(5, 1, 1, b"")]));
        slow.asked.wait_for(1);
        let swapping = scope.spawn(|| rig.runtime.swap(loaded, false).unwrap());
        rig.send(requests(&[(5, 1, 2, b"")]));
        slow.open.raise();
        swapping.join().unwrap()
    });
    assert_eq!(swapped.state, StateMoved::Kept);
    let sent = rig.seen.wait_for(2);
    assert_eq!([sent[0].seq(), sent[1].seq()], [1, 2]);
    assert_eq!(count(&rig), (3, 2));
}

/// A gate that takes its time with what it is told.
#[derive(Default)]
struct Held {
    entered: Flag,
    open: Flag,
}

impl Egress for Held {
    fn apply(&self, effects: &mut &[Effect<'_>]) {
        *effects = &[];
        self.entered.raise();
        self.open.wait_for(1);
    }
}

#[test]
fn a_slot_that_does_not_give_way_in_time_keeps_its_version() {
    let (folder, gate, seen) = (tempfile::tempdir().unwrap(), Arc::<Held>::default(), Arc::<Seen>::default());
    let cache = folder.path().join("cache");
    let runtime_options = RuntimeOptions { workers: 1, cache, ..RuntimeOptions::default() };
    let registry = Arc::<duet_embedded::MemoryRegistry>::default();
    let runtime = duet_runtime::Runtime::new(runtime_options, registry, Arc::clone(&gate) as _, seen).unwrap();
    let rig = Rig::new();
    let quick = PluginOptions { call_budget: Duration::from_millis(5), ..options() };
    let load = |version: Counter| runtime.loader().load(&version.file(&rig, "counter"), quick.clone()).unwrap();
    runtime.serve(load(Counter::new(1))).unwrap();
    duet_core::Dispatch::dispatch(&*runtime, requests(&[(5, 1, 1, b"")]), std::task::Waker::noop()).unwrap();
    gate.entered.wait_for(1);
    let error = runtime.swap(load(Counter::new(2)), false).unwrap_err();
    assert!(error.reason().contains("did not end its call within"), "{}", error.reason());
    gate.open.raise();
    assert_eq!(runtime.swap(load(Counter::new(3)), false).unwrap().state_bytes, 8, "the order is forgotten");
}

#[test]
fn a_process_that_stops_exchanges_nothing_and_goes_on_to_its_end() {
    let slow = Arc::<Slow>::default();
    let rig = slow.rig();
    Counter { save: "(call $ask)", ..Counter::new(1) }.serve(
        &rig,
        "counter",
        PluginOptions { instances: Instances::Fixed(2), ..options() },
    );
    let loaded = rig.runtime.loader().load(&Counter::new(2).file(&rig, "counter"), options()).unwrap();
    let late = rig.runtime.loader().load(&Counter::new(3).file(&rig, "counter"), options()).unwrap();
    let error = std::thread::scope(|scope| {
        let swapping = scope.spawn(|| rig.runtime.swap(loaded, false).unwrap_err());
        slow.asked.wait_for(1);
        rig.send(requests(&[(5, 1, 1, b"")]));
        rig.runtime.withdraw_all();
        slow.open.raise();
        swapping.join().unwrap()
    });
    assert_eq!(error.reason(), "the process is stopping");
    assert_eq!(rig.seen.wait_for(1)[0].seq(), 1, "what came meanwhile is handled");
    assert_eq!(rig.runtime.swap(late, false).unwrap_err().reason(), "the process is stopping");
}
