//! A panic of the host, wherever a guest, a gate or a log can cause one, ends one call and one instance and nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};

use duet_core::{Dispatch, ErrorCode, Full};
use duet_runtime::PluginOptions;

use crate::gate::{LANES, body, rig, wanting};
use crate::rig::{EXPLOSIVE, Flag, Rig, Sent, UNLUCKY, requests, single};

fn patient() -> PluginOptions {
    PluginOptions { faults_max: 1000, ..wanting(&[]) }
}

#[test]
fn a_panic_in_any_look_up_ends_one_call_and_its_thread_goes_on() {
    let mut count = 0;
    for lane in LANES {
        let rig = rig(lane, patient());
        let neighbour = rig.file("single.wasm", single());
        rig.serve(&neighbour, PluginOptions::default()).unwrap();
        for route in 312..319 {
            rig.seen.panics.store(true, Ordering::SeqCst);
            assert_eq!(rig.refusal(route, &body(7, 0, "room", b"")).0, ErrorCode::PLUGIN_FAULT, "{lane:?}, {route}");
            rig.seen.panics.store(false, Ordering::SeqCst);
            assert!(matches!(&rig.call(route, &body(7, 0, "room", b""))[..], [Sent::Message { .. }]), "{lane:?}, {route}");
            assert_eq!(rig.reply(211, b"neighbour"), b"neighbour", "the other plugin of that thread");
            rig.idle();
            count += 1;
        }
    }
    eprintln!("panics: {count} in look-ups of both lanes, each ended one call, and the next was answered");
}

#[test]
fn of_many_messages_only_the_one_that_makes_the_host_panic_fails() {
    for lane in LANES {
        let rig = rig(lane, patient());
        let bodies: Vec<Vec<u8>> = (1..301).map(|n| body(if n % 100 == 50 { UNLUCKY } else { 7 }, 0, "", b"")).collect();
        let list: Vec<(u64, i32, i32, &[u8])> = bodies.iter().zip(1..).map(|(body, seq)| (5, 315, seq, body.as_slice())).collect();
        rig.send(requests(&list));
        let sent = rig.seen.wait_for(300);
        for (sent, seq) in sent.iter().zip(1..) {
            let expected = if seq % 100 == 50 { Some(ErrorCode::PLUGIN_FAULT) } else { None };
            assert_eq!((sent.seq(), sent.code()), (seq, expected), "{lane:?}");
        }
        rig.idle();
        assert_eq!(rig.seen.count(), 300, "one answer for each");
    }
    eprintln!("panics: of 300 messages 3 made the host panic, and those alone failed, in both lanes");
}

#[test]
fn a_plugin_that_makes_the_host_panic_again_and_again_is_out_of_service() {
    let rig = rig(LANES[0], PluginOptions { faults_max: 3, ..wanting(&[]) });
    for _ in 0..3 {
        assert_eq!(rig.refusal(315, &body(UNLUCKY, 0, "", b"")).0, ErrorCode::PLUGIN_FAULT);
    }
    assert_eq!(rig.refusal(315, &body(7, 0, "", b"")).0, ErrorCode::UNAVAILABLE);
    eprintln!("panics: 3 put a plugin into quarantine");
}

#[test]
fn a_gate_that_panics_over_effects_costs_one_call() {
    for lane in LANES {
        let rig = rig(lane, patient());
        for _ in 0..3 {
            assert_eq!(rig.refusal(319, EXPLOSIVE).0, ErrorCode::PLUGIN_FAULT, "{lane:?}");
            assert_eq!(rig.reply(319, b"next"), b"next", "{lane:?}");
            rig.idle();
        }
    }
    eprintln!("panics: 6 while effects were applied, each ended one call, in both lanes");
}

#[test]
fn of_a_batch_over_which_the_gate_panics_nobody_is_answered_twice_and_everybody_once() {
    for lane in LANES {
        let rig = rig(lane, patient());
        (1..6).for_each(|_| drop(rig.reply(319, b"warm")));
        let before = rig.seen.count();
        rig.send(requests(&[(5, 319, 7, b"a"), (5, 319, 8, EXPLOSIVE), (5, 319, 9, b"b")]));
        rig.idle();
        let sent = rig.seen.wait_for(before + 3).split_off(before);
        let answers: Vec<_> = sent.iter().map(|sent| (sent.seq(), sent.code())).collect();
        let fault = Some(ErrorCode::PLUGIN_FAULT);
        assert_eq!(answers, [(7, None), (8, fault), (9, fault)], "{lane:?}");
    }
}

/// A task whose waker panics.
struct Broken;

impl Wake for Broken {
    fn wake(self: Arc<Self>) {
        panic!("injected into a waker");
    }
}

#[test]
fn a_waker_that_panics_keeps_neither_requests_nor_other_tasks() {
    crate::told::gated!(ENTERED, OPEN, handler, 1);
    let rig = Rig::with(duet_runtime::RuntimeOptions { workers: 1, queue_messages: 2, ..duet_runtime::RuntimeOptions::default() });
    crate::told::serve(&rig, 11, &[], handler, PluginOptions::default());
    rig.send(requests(&[(1, 11, 1, b"")]));
    ENTERED.wait_for(1);
    rig.send(requests(&[(1, 11, 2, b""), (1, 11, 3, b"")]));
    let woken = Arc::<Flag>::default();
    for waker in [Waker::from(Arc::new(Broken)), Waker::from(Arc::clone(&woken))] {
        assert!(matches!(rig.runtime.dispatch(requests(&[(1, 11, 4, b"")]), &waker), Err(Full(_))));
    }
    OPEN.raise();
    woken.wait_for(1);
    rig.send(requests(&[(1, 11, 4, b"")]));
    rig.seen.wait_for(4);
    rig.idle();
    eprintln!("panics: one in a waker, the next task was woken and all 4 requests were handled");
}
