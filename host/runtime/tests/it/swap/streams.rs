//! Exchanges while requests stream in.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use duet_core::{Dispatch as _, Full};
use duet_runtime::{Instances, PluginOptions, RuntimeOptions};

use super::counter::{Counter, counted};
use super::options;
use crate::rig::{Flag, Rig, Sent, requests};

const CONNS: u64 = 20;
const SWAPS: u32 = 20;
/// Requests of one connection in one read.
const READ: i32 = 7;

/// Sends reads of a connection until it is told to stop, and waits when there is no room. Returns how many requests it sent.
fn stream(rig: &Rig, conn: u64, stop: &AtomicBool) -> i32 {
    let mut sent = 0;
    while !stop.load(Ordering::SeqCst) {
        let list: Vec<(u64, i32, i32, &[u8])> = (1..=READ).map(|n| (conn, 1, sent + n, b"".as_slice())).collect();
        sent += READ;
        let mut read = requests(&list);
        let room = Arc::<Flag>::default();
        for times in 1.. {
            match rig.runtime.dispatch(read, &Arc::clone(&room).into()) {
                Ok(()) => break,
                Err(Full(left)) => read = left,
            }
            room.wait_for(times);
        }
    }
    sent
}

/// Exchanges code again and again under load, and checks each answer.
fn under_load(instances: usize) {
    let rig = Rig::with(RuntimeOptions { workers: 2, queue_messages: 200, ..RuntimeOptions::default() });
    let options = PluginOptions { instances: Instances::Fixed(instances), ..options() };
    Counter::new(1).serve(&rig, "counter", options.clone());
    let stop = AtomicBool::new(false);
    let sent: HashMap<u64, i32> = std::thread::scope(|scope| {
        let streams: Vec<_> = (1..=CONNS)
            .map(|conn| {
                (
                    conn,
                    scope.spawn({
                        let (rig, stop) = (&rig, &stop);
                        move || stream(rig, conn, stop)
                    }),
                )
            })
            .collect();
        for number in 2..SWAPS + 2 {
            let before = rig.seen.count();
            // Each version answers something.
            rig.seen.wait_for(before + 100);
            // One in four fails to restore, and the one before it goes on.
            let restore = if number % 4 == 0 { "(return (call $no))" } else { "" };
            let swapped = Counter { restore, ..Counter::new(number) }.swap(&rig, "counter", options.clone(), false);
            assert_eq!(swapped.is_err(), number % 4 == 0, "{swapped:?}");
        }
        stop.store(true, Ordering::SeqCst);
        streams.into_iter().map(|(conn, stream)| (conn, stream.join().unwrap())).collect()
    });
    rig.idle();
    let answers = rig.seen.wait_for(0);
    assert_eq!(answers.len() as i32, sent.values().sum::<i32>(), "none is lost and none is answered twice");
    let (mut seqs, mut versions): (HashMap<u64, i32>, HashMap<u64, u32>) = (HashMap::new(), HashMap::new());
    let mut counts: HashMap<u64, u32> = HashMap::new();
    for answer in &answers {
        let Sent::Message { conn, seq, body, .. } = answer else { panic!("{answer:?}") };
        let last = seqs.entry(*conn).or_default();
        *last += 1;
        assert_eq!(seq, last, "connection {conn}");
        let (count, version) = counted(body);
        *counts.entry(count).or_default() += 1;
        let before = versions.insert(*conn, version).unwrap_or(1);
        assert!(version >= before, "connection {conn} was answered by {before}, then by {version}");
    }
    // Each instance has counted from 1 on without a gap, whichever version it was.
    let highest = *counts.keys().max().unwrap();
    assert!((1..=highest).all(|count| counts.contains_key(&count)) && counts.values().all(|times| *times as usize <= instances));
    eprintln!("swap: {} messages of {CONNS} connections to {instances} instances through {SWAPS} exchanges, all in order", answers.len());
}

#[test]
fn nothing_is_lost_doubled_or_reordered_with_one_instance() {
    under_load(1);
}

#[test]
fn nothing_is_lost_doubled_or_reordered_with_two_instances() {
    under_load(2);
}
