//! A runtime that is asked to stop while a plugin starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use duet_core::{Counts, Registry, Route};
use duet_embedded::MemoryRegistry;
use duet_runtime::{Instances, PluginOptions, Runtime, RuntimeOptions};
use duet_testkit::Nobody;

use crate::gate::wanting;
use crate::rig::{Flag, Seen};

/// The hand-written plugin, whose `start` asks how many connections there are.
fn curious() -> Vec<u8> {
    let text = include_str!("../../../testkit/fixtures/gate/gate.wat");
    let start = "(func (export \"start\") (result i32) ";
    assert!(text.contains(start));
    wat::parse_str(text.replacen(start, &format!("{start}(drop (call $count (i32.const 0))) "), 1)).unwrap()
}

#[test]
fn nothing_waits_for_a_plugin_that_starts_and_it_is_not_served_any_more() {
    // Who asks how many connections there are waits until it is open.
    static ASKED: Flag = Flag::new();
    static OPEN: Flag = Flag::new();
    let slow = Nobody::counted_by(|| {
        ASKED.raise();
        OPEN.wait_for(1);
        Counts::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let options = RuntimeOptions { workers: 1, cache: folder.path().join("cache"), ..RuntimeOptions::default() };
    let registry = Arc::<MemoryRegistry>::default();
    let runtime = Runtime::new(options, Arc::clone(&registry) as _, Arc::<Seen>::default(), Arc::new(slow)).unwrap();
    let file = folder.path().join("curious.wasm");
    std::fs::write(&file, curious()).unwrap();
    let (served, withdrawn) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let loaded = runtime.loader().load(&file, PluginOptions { instances: Instances::Fixed(3), ..wanting(&[]) }).unwrap();
            let error = runtime.serve(loaded).unwrap_err().to_string();
            assert!(error.contains("stopping"), "{error}");
            assert!(withdrawn.load(Ordering::SeqCst), "it was still starting");
            served.store(true, Ordering::SeqCst);
        });
        ASKED.wait_for(1);
        runtime.loader().stop();
        runtime.withdraw_all();
        withdrawn.store(true, Ordering::SeqCst);
        OPEN.raise();
    });
    assert!(served.load(Ordering::SeqCst));
    assert_eq!(ASKED.raised(), 1, "the second instance is not started");
    assert!(registry.routes().get(Route(305)).is_none());
}
