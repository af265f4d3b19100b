//! The budget of a call is processor time of the guest: neither waiting nor a busy machine uses it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use duet_core::ErrorCode;
use duet_runtime::{Instances, PluginOptions};
use rustix::time::{ClockId, clock_gettime};

use crate::rig::{Rig, requests};

fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// The hand-written plugin, whose route 213 loops this often and then replies `pushed`.
pub(crate) fn working(rounds: u64) -> Vec<u8> {
    let text = include_str!("../../../testkit/fixtures/single/single.wat");
    let work = format!(
        "(func $forever (local $left i64) (local.set $left (i64.const {rounds}))
           (loop $turn (br_if $turn (i32.eqz (i64.eqz (local.tee $left (i64.sub (local.get $left) (i64.const 1))))))))"
    );
    let text = text.replacen("(func $forever (loop $turn (br $turn)))", &work, 1);
    let (before, after) = text.split_once("        (call $forever)\n        unreachable)").unwrap();
    wat::parse_str(format!("{before}(call $forever) (return (call $ok (i32.const 336) (i32.const 6))))\n{after}")).unwrap()
}

/// Processor time of one call of route 213, made on this thread.
pub(crate) fn call(rig: &Rig, file: &std::path::Path, options: PluginOptions) -> (Duration, Result<Vec<u8>, String>) {
    let mut call = rig.runtime.loader().load(file, options).unwrap().caller().unwrap();
    let list = requests(&[(5, 213, 1, b"")]);
    let begun = thread_time();
    let answer = call(list.bytes());
    (thread_time() - begun, answer)
}

pub(crate) fn budget(milliseconds: u64) -> PluginOptions {
    PluginOptions { call_budget: Duration::from_millis(milliseconds), ..PluginOptions::default() }
}

/// Threads that keep every processor busy.
struct Hogs {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Hogs {
    fn start(of_each: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let count = of_each * std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..count).map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        });
        Self { threads: threads.collect(), stop }
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn a_busy_machine_does_not_end_a_call_within_its_budget_and_a_spinner_is_still_ended() {
    let rig = Rig::new();
    let probe = rig.file("probe.wasm", working(20_000_000));
    let (took, answer) = call(&rig, &probe, budget(10_000));
    answer.unwrap();
    // 60 ms of work.
    let rounds = 20_000_000 * 60_000 / u64::try_from(took.as_micros()).unwrap().max(1);
    let worker = rig.file("worker.wasm", working(rounds));
    let spinner = rig.file("spinner.wasm", crate::rig::single());
    let hogs = Hogs::start(6);
    let begun = std::time::Instant::now();
    let (used, answer) = call(&rig, &worker, budget(200));
    let wall = begun.elapsed();
    answer.unwrap_or_else(|e| panic!("{used:?} of 200 ms used in {wall:?}: {e}"));
    let (spun, answer) = call(&rig, &spinner, budget(50));
    let refused = answer.expect_err("it never returns");
    drop(hogs);
    assert!(refused.contains("budget of 50ms"), "{refused}");
    assert!(spun >= Duration::from_millis(50), "{spun:?}");
    eprintln!("budget: {used:.0?} of 200 ms used in {wall:.0?} on a busy processor; a spinner was ended after {spun:.0?} of 50 ms");
}

#[test]
fn naps_use_nothing_up_and_a_loop_in_the_same_lane_is_ended() {
    let rig = Rig::new();
    let options = PluginOptions { wait_timeout: Duration::from_secs(60), faults_max: 1, ..PluginOptions::default() };
    rig.serve(&duet_testkit::guest("sleeper"), options).unwrap();
    assert_eq!(rig.reply(120, b"12x10"), b"awake", "12 naps of 10 ms, 50 ms of budget");
    assert_eq!(rig.reply(120, b"1x300"), b"awake");
    let (code, text) = rig.refusal(120, b"loop");
    assert_eq!(code, ErrorCode::TIMEOUT, "{text}");
    eprintln!("budget: 12 naps of 10 ms and one of 300 ms with 50 ms of budget, a loop in the same lane ended");
}

#[test]
fn a_neighbour_that_works_uses_up_nothing_of_one_that_waits() {
    let rig = Rig::new();
    let minute = Duration::from_secs(60);
    let instances = Instances::Fixed(4);
    let options = PluginOptions { wait_timeout: minute, queue_timeout: minute, faults_max: 1, instances, ..PluginOptions::default() };
    rig.serve(&duet_testkit::guest("sleeper"), options).unwrap();
    // Four instances on one thread: each works 20 ms in each of its turns, one after the other.
    let list: Vec<(u64, i32, i32, &[u8])> = (1..33).map(|conn| (conn, 120, 1, b"work".as_slice())).collect();
    rig.send(requests(&list));
    let sent = rig.seen.wait_for(32);
    assert!(sent.iter().all(|s| s.code().is_none()), "{sent:?}");
    eprintln!("budget: 32 calls of 20 ms by 4 instances on one thread, none was billed for another");
}
