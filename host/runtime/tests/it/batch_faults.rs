//! Faults of a batch that none of its messages causes alone.

use std::time::Duration;

use duet_core::packed::{EffectRecord, RequestIter, put_effect};
use duet_core::{Action, ErrorCode};
use duet_runtime::PluginOptions;
use duet_testkit::Kept;

use crate::budget::working;
use crate::rig::{Flag, Rig, Sent, requests};

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
fn many_requests_at_once_whose_effects_are_legal_alone_do_not_put_a_plugin_out_of_service() {
    let log = Kept::of_process();
    let rig = Rig::new();
    rig.serve(&duet_testkit::guest("lobby"), PluginOptions { faults_max: 1, ..PluginOptions::default() }).unwrap();
    // 3.6 MB each: two are more than one call may return, and ten are more than an instance has memory for.
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
        let refused: Vec<_> = sent.iter().filter_map(Sent::code).collect();
        assert!(refused.is_empty(), "round {round}: {refused:?}");
    }
    let lines = log.wait_for("handed more than 4 MiB to the host at once, as the effects of a call or to an import; in a batch of ");
    assert!(lines.iter().all(|line| line.contains("none of which fails alone") && line.contains("plugin=duet_lobby ")), "{lines:?}");
    eprintln!("batch: {} lines, no quarantine: {}", lines.len(), lines[0]);
}
