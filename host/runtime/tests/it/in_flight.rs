//! Requests in flight of an asker: counted until they are done, whatever becomes of them, and not longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use duet_core::packed::{EffectRecord, RequestIter, put_effect};
use duet_core::{Action, Asker, Dispatch, ErrorCode, Full, InFlight, RequestKind, Requests};
use duet_runtime::{NativeHandler, PluginOptions, RuntimeOptions};

use crate::rig::{Flag, Rig, Sent, event, in_one_read, message, outlast, requests};

/// What a connection counts. It must not go below 0: that would let it send more than it may.
#[derive(Debug, Default)]
struct Count(AtomicI64);

impl Asker for Count {
    fn done(&self, requests: usize) {
        self.0.fetch_sub(i64::try_from(requests).unwrap(), Ordering::SeqCst);
    }
}

impl Count {
    /// The requests, of which the messages are counted, as a gate does.
    fn of(self: &Arc<Self>, mut requests: Requests) -> Requests {
        let messages = requests.iter().filter(|request| !request.kind.is_event()).count();
        self.0.fetch_add(i64::try_from(messages).unwrap(), Ordering::SeqCst);
        requests.depart(InFlight::new(Arc::clone(self) as _, messages));
        requests
    }

    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until this many are in flight.
    fn becomes(&self, wanted: i64, after: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.now() != wanted {
            assert!(Instant::now() < deadline, "{} in flight after {after}", self.now());
            std::thread::yield_now();
        }
    }

    /// Waits until nothing is in flight; the count must not be below 0.
    fn returns_to_zero(&self, rig: &Rig, after: &str) {
        rig.idle();
        self.becomes(0, after);
    }
}

fn echo(list: &mut [u8], effects: &mut Vec<u8>) {
    for (request, asked) in RequestIter::new(list).enumerate() {
        if !asked.kind.is_event() {
            put_effect(effects, &EffectRecord { request, action: Action::Reply(asked.body) });
        }
    }
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

fn serve(rig: &Rig, route: i32, handler: NativeHandler, options: PluginOptions) {
    crate::told::serve(rig, route, &["connect", "disconnect"], handler, options);
}

fn codes(sent: &[Sent]) -> Vec<Option<ErrorCode>> {
    sent.iter().map(Sent::code).collect()
}

#[test]
fn faults_leave_nothing_counted() {
    let count = Arc::<Count>::default();
    // Alone, in a batch, too slow, and a panic of the gate.
    let rig = Rig::with_single(PluginOptions { faults_max: 1000, ..PluginOptions::default() });
    for (case, routes) in [("a trap", vec![207]), ("a trap in a batch", vec![211, 207, 211, 207]), ("a loop in a batch", vec![211, 213])] {
        for round in 0..3 {
            let before = rig.seen.count();
            let list: Vec<(u64, i32, i32, &[u8])> = routes.iter().map(|route| (5, *route, 1, b"".as_slice())).collect();
            rig.send(count.of(requests(&list)));
            rig.seen.wait_for(before + list.len());
            count.returns_to_zero(&rig, &format!("{case}, round {round}"));
        }
    }
    rig.send(count.of(requests(&[(5, 211, 1, b""), (5, 211, 2, crate::rig::EXPLOSIVE)])));
    count.returns_to_zero(&rig, "a panic of the gate");
}

#[test]
fn quarantine_leaves_nothing_counted_of_what_waited_and_of_what_comes() {
    gated!(ENTERED, OPEN, failing);
    fn fails(list: &mut [u8], effects: &mut Vec<u8>) {
        failing(list, effects);
        assert!(!RequestIter::new(list).any(|asked| asked.body == b"fail"), "a fault of the test");
    }
    let (rig, count) = (Rig::new(), Arc::<Count>::default());
    let options = PluginOptions { faults_max: 1, quarantine: Duration::from_secs(60), ..PluginOptions::default() };
    serve(&rig, 1, fails, options);
    rig.send(count.of(requests(&[(1, 1, 1, b"fail")])));
    ENTERED.wait_for(1);
    rig.send(count.of(requests(&[(1, 1, 2, b"waits"), (1, 1, 3, b"waits")])));
    assert_eq!(count.now(), 3, "what waits is in flight");
    OPEN.raise();
    let sent = rig.seen.wait_for(3);
    let unavailable = Some(ErrorCode::UNAVAILABLE);
    assert_eq!(codes(&sent), [Some(ErrorCode::PLUGIN_FAULT), unavailable, unavailable]);
    count.returns_to_zero(&rig, "quarantine with requests that waited");
    // Refused before they get into a queue, among others and alone.
    rig.send(count.of(requests(&[(1, 1, 4, b"late"), (1, 99, 5, b"nobody's")])));
    rig.send(count.of(requests(&[(1, 1, 6, b"late")])));
    rig.send(count.of(in_one_read(&[event(RequestKind::Connect, 1, 0, "here"), message(1, 0, 1, 7, b"late")])));
    assert_eq!(codes(&rig.seen.wait_for(7))[3..], [unavailable, Some(ErrorCode::UNKNOWN_ROUTE), unavailable, unavailable]);
    count.returns_to_zero(&rig, "quarantine with requests that come");
}

#[test]
fn requests_that_waited_too_long_are_counted_until_they_are_refused() {
    gated!(ENTERED, OPEN, handler);
    let (rig, count) = (Rig::new(), Arc::<Count>::default());
    serve(&rig, 1, handler, PluginOptions { queue_timeout: Duration::from_secs(1), ..PluginOptions::default() });
    rig.send(requests(&[(1, 1, 1, b"busy")]));
    ENTERED.wait_for(1);
    rig.send(count.of(requests(&[(1, 1, 2, b""), (1, 1, 3, b"")])));
    rig.send(count.of(in_one_read(&[event(RequestKind::Connect, 1, 0, "here"), message(1, 0, 1, 4, b"")])));
    assert_eq!(count.now(), 3);
    outlast(Duration::from_secs(1));
    assert_eq!(count.now(), 3, "nobody has refused them yet");
    OPEN.raise();
    assert_eq!(codes(&rig.seen.wait_for(4))[1..], [Some(ErrorCode::TIMEOUT); 3]);
    count.returns_to_zero(&rig, "queue_timeout");
}

#[test]
fn a_mixed_read_is_counted_part_by_part_also_what_is_given_back() {
    gated!(ENTERED, OPEN, handler);
    let rig = Rig::with(RuntimeOptions { workers: 2, queue_messages: 2, ..RuntimeOptions::default() });
    serve(&rig, 1, handler, PluginOptions::default());
    serve(&rig, 2, echo, PluginOptions::default());
    let count = Arc::<Count>::default();
    rig.send(requests(&[(1, 1, 1, b"busy")]));
    ENTERED.wait_for(1);
    // One waits in each queue or is answered; the event goes to both plugins and is not counted.
    let mixed = in_one_read(&[
        event(RequestKind::Connect, 1, 0, "here"),
        message(1, 0, 1, 2, b"waits"),
        message(1, 0, 2, 3, b"at once"),
        message(1, 0, 99, 4, b"nobody's"),
    ]);
    rig.send(count.of(mixed));
    rig.seen.wait_for(2);
    count.becomes(1, "what the second plugin and nobody had");
    // The queue of the first is full now.
    let more = Arc::<Count>::default();
    let Err(Full(left)) = rig.runtime.dispatch(more.of(requests(&[(1, 1, 5, b"no room"), (1, 2, 6, b"room")])), Waker::noop()) else {
        panic!("there is no room")
    };
    rig.seen.wait_for(3);
    assert_eq!(crate::rig::seqs(&left), [5]);
    more.becomes(1, "what was taken");
    OPEN.raise();
    count.returns_to_zero(&rig, "a mixed read");
    assert_eq!(more.now(), 1, "the other is done, this one is not");
    rig.send(left);
    more.returns_to_zero(&rig, "what was given back and taken later");
    assert_eq!(rig.seen.wait_for(6).iter().filter(|sent| sent.code().is_some()).count(), 1, "one unknown route, all others answered");
}

#[test]
fn a_message_is_counted_until_it_is_handled_whoever_is_done_with_the_event_beside_it() {
    gated!(ENTERED, OPEN, handler);
    let rig = Rig::with(RuntimeOptions { workers: 2, ..RuntimeOptions::default() });
    crate::told::serve(&rig, 1, &[], handler, PluginOptions::default());
    crate::told::serve(&rig, 2, &["bind"], crate::told::tell::<2>, PluginOptions::default());
    let count = Arc::<Count>::default();
    rig.send(count.of(in_one_read(&[event(RequestKind::Bind, 1, 9, ""), message(1, 9, 1, 1, b"slow")])));
    ENTERED.wait_for(1);
    rig.seen.wait_for(1);
    // Once this has been handled, nothing is left of the event.
    rig.send(requests(&[(1, 2, 2, b"")]));
    rig.seen.wait_for(2);
    assert_eq!(count.now(), 1, "the message is still being handled");
    OPEN.raise();
    count.returns_to_zero(&rig, "a message beside an event");
}

#[test]
fn what_nobody_takes_and_what_ends_with_the_runtime_is_not_counted_for_ever() {
    gated!(ENTERED, OPEN, handler);
    let rig = Rig::with(RuntimeOptions { workers: 1, queue_messages: 1, ..RuntimeOptions::default() });
    serve(&rig, 1, handler, PluginOptions::default());
    let count = Arc::<Count>::default();
    rig.send(count.of(requests(&[(1, 1, 1, b"busy")])));
    ENTERED.wait_for(1);
    rig.send(count.of(requests(&[(1, 1, 2, b"waits")])));
    let given_back = rig.runtime.dispatch(count.of(requests(&[(1, 1, 3, b"no room")])), Waker::noop());
    assert_eq!(count.now(), 3);
    drop(given_back);
    assert_eq!(count.now(), 2, "a connection that ends drops what it was given back");
    OPEN.raise();
    drop(rig);
    assert_eq!(count.now(), 0);
}
