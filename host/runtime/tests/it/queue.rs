//! The way of requests into the queues of instances. The handlers are native, so that a test decides when they return.

use std::sync::Arc;
use std::task::Waker;

use duet_core::packed::{EffectRecord, RequestIter, put_effect};
use duet_core::{Action, Dispatch, ErrorCode};
use duet_runtime::{NativeHandler, PluginOptions, RuntimeOptions};

use crate::rig::{Flag, Rig, Sent, left, requests};

fn serve(rig: &Rig, name: &str, route: i32, handler: NativeHandler) {
    let manifest = format!(r#"{{"name":"{name}","version":"1","packed":1,"routes":[{{"route":{route}}}]}}"#);
    rig.runtime.serve_native(name, &manifest, handler, PluginOptions::default()).unwrap();
}

fn echo(list: &mut [u8], effects: &mut Vec<u8>) {
    for (request, asked) in RequestIter::new(list).enumerate() {
        put_effect(effects, &EffectRecord { request, action: Action::Reply(asked.body) });
    }
}

fn rig(queue_messages: usize, queue_bytes: usize) -> Rig {
    Rig::with(RuntimeOptions { workers: 1, queue_messages, queue_bytes, ..RuntimeOptions::default() })
}

/// A handler that reports its first call and returns only when it may.
macro_rules! gated {
    ($entered:ident, $open:ident, $handler:ident) => {
        static $entered: Flag = Flag::new();
        static $open: Flag = Flag::new();
        fn $handler(list: &mut [u8], effects: &mut Vec<u8>) {
            $entered.raise();
            $open.wait_for(1);
            echo(list, effects);
        }
    };
}

#[test]
fn a_full_queue_gives_a_whole_read_back_and_wakes_who_waits_once_there_is_room() {
    gated!(ENTERED, OPEN, handler);
    let rig = rig(8, 1 << 20);
    serve(&rig, "gated", 1, handler);
    rig.send(requests(&[(1, 1, 1, b"busy")]));
    ENTERED.wait_for(1);
    for seq in 2..10 {
        rig.send(requests(&[(1, 1, seq, b"waits")]));
    }
    let woken = Arc::<Flag>::default();
    let waker = Waker::from(Arc::clone(&woken));
    let more = requests(&[(2, 1, 10, b"a"), (2, 1, 11, b"b")]);
    assert_eq!(left(rig.runtime.dispatch(more, &waker)), [10, 11], "all of the read, in order");
    assert_eq!(woken.raised(), 0, "there is no room yet");
    OPEN.raise();
    woken.wait_for(1);
    rig.send(requests(&[(2, 1, 10, b"a"), (2, 1, 11, b"b")]));
    let answered: Vec<i32> = rig.seen.wait_for(11).iter().map(Sent::seq).collect();
    assert_eq!(answered, (1..12).collect::<Vec<_>>());
    eprintln!("full queue: 8 waited, 2 given back, woken {} time(s), 11 answered in order", woken.raised());
}

#[test]
fn a_queue_is_also_full_by_bytes() {
    gated!(ENTERED, OPEN, handler);
    let rig = rig(1000, 4096);
    serve(&rig, "gated", 1, handler);
    rig.send(requests(&[(1, 1, 1, b"busy")]));
    ENTERED.wait_for(1);
    rig.send(requests(&[(1, 1, 2, &[0; 3000])]));
    assert_eq!(left(rig.runtime.dispatch(requests(&[(1, 1, 3, &[0; 3000])]), Waker::noop())), [3]);
    rig.send(requests(&[(1, 1, 4, &[0; 500])]));
    OPEN.raise();
    assert_eq!(rig.seen.wait_for(3).iter().map(Sent::seq).collect::<Vec<_>>(), [1, 2, 4]);
    eprintln!("full queue by bytes: 3,000 of 4,096 bytes waited, 3,000 more were given back, 500 more were taken");
}

#[test]
fn a_read_larger_than_the_queue_is_taken_when_the_queue_is_empty() {
    let rig = rig(4, 1 << 20);
    serve(&rig, "echo", 1, echo);
    let many: Vec<(u64, i32, i32, &[u8])> = (1..101).map(|seq| (1, 1, seq, b"x".as_slice())).collect();
    rig.send(requests(&many));
    assert_eq!(rig.seen.wait_for(100).iter().map(Sent::seq).collect::<Vec<_>>(), (1..101).collect::<Vec<_>>());
    eprintln!("large read: 100 requests went through a queue of 4");
}

#[test]
fn requests_of_one_read_reach_the_plugins_of_their_routes_and_unknown_ones_are_refused() {
    let rig = rig(4096, 1 << 20);
    serve(&rig, "one", 1, echo);
    serve(&rig, "two", 2, echo);
    let routes = [1, 2, 3, 1, 3, 2, 2, 1, -7];
    let list: Vec<(u64, i32, i32, &[u8])> = routes.iter().zip(1..).map(|(&route, seq)| (9, route, seq, b"b".as_slice())).collect();
    rig.send(requests(&list));
    let sent = rig.seen.wait_for(routes.len());
    let of = |wanted: i32| -> Vec<i32> {
        let of = sent.iter().filter(|s| matches!(s, Sent::Message { route, .. } | Sent::Error { route, .. } if *route == wanted));
        of.map(Sent::seq).collect()
    };
    assert_eq!((of(1), of(2)), (vec![1, 4, 8], vec![2, 6, 7]), "in order for each route");
    assert_eq!((of(3), of(-7)), (vec![3, 5], vec![9]));
    let refused = sent.iter().filter(|s| s.code() == Some(ErrorCode::UNKNOWN_ROUTE)).count();
    assert_eq!(refused, 3, "{sent:?}");
    eprintln!("mixed routes: 9 requests, 6 replies in order, {refused} refused as unknown");
}

#[test]
fn a_mixed_read_gives_back_only_what_found_no_room() {
    gated!(ENTERED, OPEN, handler);
    let rig = Rig::with(RuntimeOptions { workers: 2, queue_messages: 1, ..RuntimeOptions::default() });
    serve(&rig, "gated", 1, handler);
    serve(&rig, "echo", 2, echo);
    rig.send(requests(&[(1, 1, 1, b"")]));
    ENTERED.wait_for(1);
    rig.send(requests(&[(1, 1, 2, b"")]));
    let mixed = requests(&[(1, 1, 3, b""), (1, 2, 4, b""), (1, 1, 5, b""), (1, 3, 6, b"")]);
    assert_eq!(left(rig.runtime.dispatch(mixed, Waker::noop())), [3, 5]);
    let sent = rig.seen.wait_for(2);
    let mut answered: Vec<i32> = sent.iter().map(Sent::seq).collect();
    answered.sort_unstable();
    assert_eq!(answered, [4, 6]);
    OPEN.raise();
    rig.seen.wait_for(4);
    eprintln!("mixed read: of 4 requests 2 found room, 2 came back");
}

#[test]
fn the_runtime_is_idle_only_when_everything_it_took_was_handled() {
    gated!(ENTERED, OPEN, handler);
    let rig = rig(4, 1 << 20);
    serve(&rig, "gated", 1, handler);
    assert!(rig.runtime.is_idle());
    rig.send(requests(&[(1, 3, 1, b"")]));
    assert!(rig.runtime.is_idle(), "what is refused at once is not in flight");
    rig.send(requests(&[(1, 1, 2, b"")]));
    ENTERED.wait_for(1);
    rig.send(requests(&[(1, 1, 3, b"")]));
    assert!(!rig.runtime.is_idle());
    let full: Vec<(u64, i32, i32, &[u8])> = (0..4).map(|seq| (1, 1, seq, b"".as_slice())).collect();
    assert_eq!(left(rig.runtime.dispatch(requests(&full), Waker::noop())).len(), 4);
    OPEN.raise();
    rig.seen.wait_for(3);
    // What was given back must not count as in flight.
    rig.idle();
    eprintln!("idle: busy while 2 were in flight, idle after them, 4 that were given back do not count");
}

#[test]
fn who_waits_for_room_gets_it_one_after_the_other_until_nobody_waits() {
    let rig = rig(2, 1 << 20);
    serve(&rig, "echo", 1, echo);
    let threads: Vec<_> = (0..8)
        .map(|conn| {
            let runtime = Arc::clone(&rig.runtime);
            std::thread::spawn(move || {
                let mut waits = 0;
                for seq in 0..200 {
                    let mut offer = requests(&[(conn, 1, seq, b"x")]);
                    let woken = Arc::<Flag>::default();
                    let waker = Waker::from(Arc::clone(&woken));
                    let mut tries = 0;
                    while let Err(duet_core::Full(back)) = runtime.dispatch(offer, &waker) {
                        (offer, tries, waits) = (back, tries + 1, waits + 1);
                        woken.wait_for(tries);
                    }
                }
                waits
            })
        })
        .collect();
    let waits: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
    let sent = rig.seen.wait_for(1600);
    for conn in 0..8 {
        let of = sent.iter().filter(|s| matches!(s, Sent::Message { conn: c, .. } if *c == conn)).map(Sent::seq);
        assert!(of.eq(0..200), "connection {conn} is answered in order");
    }
    eprintln!("back pressure: 8 senders, 1,600 requests through a queue of 2, {waits} waits, nobody forgotten");
}
