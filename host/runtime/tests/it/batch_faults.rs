//! Faults of a batch that none of its messages causes alone.

use std::time::Duration;

use duet_core::packed::{EffectRecord, RequestIter, put_effect};
use duet_core::{Action, ErrorCode, RequestKind};
use duet_runtime::PluginOptions;
use duet_testkit::Kept;

use crate::budget::working;
use crate::rig::{Flag, Rig, Sent, event, in_one_read, requests};

static BUSY: Flag = Flag::new();
static OPEN: Flag = Flag::new();

/// Echoes one message, and panics over several. A message `wait` waits until it may go on.
fn loner(list: &mut [u8], effects: &mut Vec<u8>) {
    let mut iter = RequestIter::new(list);
    let first = iter.next().unwrap();
    assert!(iter.next().is_none(), "two are a crowd");
    if first.body == b"wait" {
        BUSY.raise();
        OPEN.wait_for(1);
    }
    put_effect(effects, &EffectRecord { request: 0, action: Action::Reply(first.body) });
}

fn answered(sent: &[Sent]) -> bool {
    sent.iter().all(|sent| sent.code().is_none())
}

#[test]
fn a_fault_that_no_message_repeats_alone_is_logged_with_how_many_of_which_routes_there_were() {
    let log = Kept::of_process();
    let rig = Rig::new();
    let manifest = r#"{"name":"loner","version":"4.2.0","packed":1,"routes":[{"route":61},{"route":62},{"route":63}]}"#;
    rig.runtime.serve_native("loner", manifest, loner, PluginOptions { faults_max: 2, ..PluginOptions::default() }).unwrap();
    // Small calls go first, so that the next is a large one.
    for seq in 1..=12 {
        rig.send(requests(&[(1, 61, seq, b"alone")]));
        rig.seen.wait_for(usize::try_from(seq).unwrap());
    }
    rig.send(requests(&[(1, 62, 13, b"a"), (1, 61, 14, b"b"), (1, 62, 15, b"c"), (1, 63, 16, b"d"), (1, 62, 17, b"e")]));
    assert!(answered(&rig.seen.wait_for(17)), "each alone is answered");
    let lines = log.wait_for("two are a crowd");
    let [line] = lines.as_slice() else { panic!("once, not for each message: {lines:?}") };
    for text in [
        "plugin fault: a function of the host panicked",
        "in a batch of 5, none of which fails alone",
        "plugin=loner ",
        "version=4.2.0 ",
        "messages=5 ",
        "routes=\"62 (3), 61 (1), 63 (1)\" ",
    ] {
        assert!(line.contains(text), "{text} is not in {line}");
    }
    assert!(!line.contains("body="), "no single message is to blame: {line}");
    // It counts: the memory of the instance is gone for a reason that may come again. The next batch is small.
    rig.send(requests(&[(1, 61, 18, b"wait")]));
    BUSY.wait_for(1);
    rig.send(requests(&[(1, 61, 19, b"x"), (1, 61, 20, b"y")]));
    OPEN.raise();
    assert!(answered(&rig.seen.wait_for(20)), "one at a time after that");
    eprintln!("batch: {line}");
}

#[test]
fn a_batch_that_is_too_slow_as_a_whole_is_logged_and_does_not_count() {
    let log = Kept::of_process();
    let rig = Rig::new();
    let probe = rig.file("probe.wasm", working(20_000_000));
    let (took, answer) = crate::budget::call(&rig, &probe, crate::budget::budget(60_000));
    answer.unwrap();
    // 200 ms of work for each message, and 600 ms for a call.
    let rounds = 20_000_000 * 200_000 / u64::try_from(took.as_micros()).unwrap().max(1);
    let options = PluginOptions { faults_max: 1, queue_timeout: Duration::from_secs(60), ..crate::budget::budget(600) };
    rig.serve(&rig.file("tortoise.wasm", working(rounds)), options).unwrap();
    // Quick calls make the next batch larger.
    for seq in 1..=12 {
        rig.send(requests(&[(1, 211, seq, b"quick")]));
        rig.seen.wait_for(usize::try_from(seq).unwrap());
    }
    let list: Vec<(u64, i32, i32, &[u8])> = (13..=20).map(|seq| (1, if seq == 15 { 211 } else { 213 }, seq, b"slow".as_slice())).collect();
    rig.send(requests(&list));
    let sent = rig.seen.wait(|sent| sent.iter().any(|sent| sent.seq() == 20));
    assert!(answered(&sent), "each alone is within its budget: {sent:?}");
    let line = log.wait_for("plugin=tortoise ").remove(0);
    for text in [
        "call ran longer than its budget of 600ms",
        "in a batch of 8, none of which fails alone",
        "messages=8 ",
        "routes=\"213 (7), 211 (1)\" ",
    ] {
        assert!(line.contains(text), "{text} is not in {line}");
    }
    // One fault that counts would put it out of service.
    assert!(rig.call(211, b"on").iter().all(|sent| sent.code() != Some(ErrorCode::UNAVAILABLE)));
    eprintln!("batch: {line}");
}

#[test]
fn many_requests_at_once_whose_effects_are_legal_alone_cost_nobody_anything() {
    let rig = Rig::new();
    rig.serve(&duet_testkit::guest("lobby"), PluginOptions { faults_max: 1, ..PluginOptions::default() }).unwrap();
    rig.send(in_one_read(&[event(RequestKind::Connect, 5, 0, "192.0.2.1:80")]));
    // 3.6 MB each: ten are more than one call may return, and with what copies them more than an instance has memory for.
    let blob = br#"{"bytes":3600000,"count":1}"#.as_slice();
    let mut seen = 0;
    for (round, many) in [2, 10, 2].into_iter().enumerate() {
        for seq in 1..=12 {
            rig.send(requests(&[(5, 18, seq, b"quick")]));
            seen += 1;
            rig.seen.wait_for(seen);
        }
        let list: Vec<(u64, i32, i32, &[u8])> = (0..many).map(|seq| (5, 17, 100 + seq, blob)).collect();
        rig.send(requests(&list));
        // For each a push and a reply.
        seen += 2 * list.len();
        let sent = rig.seen.wait_for(seen);
        let answers: Vec<_> = sent[seen - 2 * list.len()..].iter().filter(|sent| sent.seq() != 0).map(Sent::seq).collect();
        assert!(answered(&sent) && answers.iter().copied().eq(100..100 + many), "round {round}: {answers:?}");
    }
    let events = rig.call(16, b"");
    let [Sent::Message { body, .. }] = &events[..] else { panic!("{events:?}") };
    assert!(String::from_utf8_lossy(body).contains("192.0.2.1:80"), "the instance is still the same, with what it knew");
    assert_eq!(rig.runtime.snapshot()[0].total().faults, 0);
}

/// Answers each request of a batch with 3.6 MB, or with nothing if it has no body, and leaves none, however many there are.
const OF_OLD: &str = r#"(component
  (core module $Main
    (memory (export "memory") 400)
    (global $heap (mut i32) (i32.const 4096))
    (data (i32.const 64) "{\22name\22:\22old\22,\22version\22:\221\22,\22packed\22:1,\22routes\22:[{\22route\22:71}]}")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $heap (i32.add (global.get $heap) (local.get 3)))
      (i32.sub (global.get $heap) (local.get 3)))
    (func (export "describe") (result i32)
      (i32.store (i32.const 0) (i32.const 64))
      (i32.store (i32.const 4) (i32.const 63))
      (i32.const 0))
    (func (export "start") (result i32) (i32.store8 (i32.const 0) (i32.const 0)) (i32.const 0))
    (func (export "stop"))
    (func (export "handle-batch") (param $at i32) (param $left i32) (result i32) (local $out i32) (local $request i32) (local $bytes i32)
      (local.set $out (i32.const 0x100000))
      (loop $next
        (local.set $bytes (select (i32.const 0x36_EE98) (i32.const 24) (i32.gt_u (i32.load (local.get $at)) (i32.const 32))))
        (i32.store (local.get $out) (local.get $bytes))
        (i32.store offset=4 (local.get $out) (i32.const 24))
        (i64.store offset=8 (local.get $out) (i64.extend_i32_u (local.get $request)))
        (i64.store offset=16 (local.get $out) (i64.const 0))
        (local.set $out (i32.add (local.get $out) (local.get $bytes)))
        (local.set $request (i32.add (local.get $request) (i32.const 1)))
        (local.set $left (i32.sub (local.get $left) (i32.load (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.load (local.get $at))))
        (br_if $next (local.get $left)))
      (global.set $heap (i32.const 4096))
      (i32.store (i32.const 0) (i32.const 0x100000))
      (i32.store (i32.const 4) (i32.sub (local.get $out) (i32.const 0x100000)))
      (i32.const 0)))
  (core instance $main (instantiate $Main))
  (alias core export $main "memory" (core memory $memory))
  (func $describe (result string) (canon lift (core func $main "describe") (memory $memory)))
  (func $start (result (result (error string))) (canon lift (core func $main "start") (memory $memory)))
  (func $stop (canon lift (core func $main "stop")))
  (instance $lifecycle (export "describe" (func $describe)) (export "start" (func $start)) (export "stop" (func $stop)))
  (export "duet:plugin/lifecycle@0.1.0" (instance $lifecycle))
  (func $handle (param "requests" (list u8)) (result (list u8))
    (canon lift (core func $main "handle-batch") (memory $memory) (realloc (core func $main "realloc"))))
  (instance $handler (export "handle-batch" (func $handle)))
  (export "duet:plugin/batch-handler@0.1.0" (instance $handler)))"#;

#[test]
fn a_guest_that_leaves_nothing_is_called_again_with_each_request_if_its_effects_are_too_much() {
    let log = Kept::of_process();
    let rig = Rig::new();
    let file = rig.file("old.wasm", wat::parse_str(OF_OLD).unwrap());
    rig.serve(&file, PluginOptions { faults_max: 1, ..PluginOptions::default() }).unwrap();
    let mut seen = 0;
    // Three fit into one list, which five do not.
    for many in [3, 5] {
        for _ in 0..12 {
            seen += 1;
            rig.send(requests(&[(5, 71, seen, b"")]));
            rig.seen.wait_for(usize::try_from(seen).unwrap());
        }
        let list: Vec<(u64, i32, i32, &[u8])> = (1..=many).map(|more| (5, 71, seen + more, b"much".as_slice())).collect();
        rig.send(requests(&list));
        seen += many;
        let sent = rig.seen.wait_for(usize::try_from(seen).unwrap());
        assert!(answered(&sent) && sent.iter().map(Sent::seq).eq(1..=seen));
    }
    let lines = log.wait_for("handed more than 12 MiB to the host at once, as the effects of a call or to an import; in a batch of ");
    let [line] = lines.as_slice() else { panic!("once, for five: {lines:?}") };
    assert!(line.contains("in a batch of 5, none of which fails alone") && line.contains("plugin=old "), "{line}");
}
