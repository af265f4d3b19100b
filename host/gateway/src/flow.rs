//! What others tell the task of a connection, and the requests it waits for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use duet_core::Asker;
use futures_util::task::AtomicWaker;

/// Nobody waits for requests to be done.
const NEVER: usize = usize::MAX;

/// Wakes the task of a connection, and counts its requests. It is apart from the session, because requests in flight hold it: a socket must
/// not stay open for them.
#[derive(Debug)]
pub(crate) struct Flow {
    waker: AtomicWaker,
    /// Requests that were taken from the client and are not done.
    in_flight: AtomicUsize,
    /// The task is woken when no more than this many are left.
    wanted: AtomicUsize,
}

impl Flow {
    pub(crate) const fn new() -> Self {
        Self { waker: AtomicWaker::new(), in_flight: AtomicUsize::new(0), wanted: AtomicUsize::new(NEVER) }
    }

    /// Sets whom to wake. Only the owner of the session may do so, under the lock of its outbox.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Counts requests that were taken.
    pub(crate) fn take(&self, requests: usize) {
        self.in_flight.fetch_add(requests, Ordering::SeqCst);
    }

    /// Asks to be woken when no more than `most` requests are left, and returns whether that is so already. A task that has registered its
    /// waker cannot miss it: this sets the mark and then reads the count, `done` lowers the count and then reads the mark, so at least one
    /// of the two sees the other's write.
    pub(crate) fn wait(&self, most: usize) -> bool {
        self.wanted.store(most, Ordering::SeqCst);
        let is_low = self.in_flight() <= most;
        if is_low {
            self.wanted.store(NEVER, Ordering::SeqCst);
        }
        is_low
    }
}

impl Asker for Flow {
    fn done(&self, requests: usize) {
        let before = self.in_flight.fetch_sub(requests, Ordering::SeqCst);
        // Only what crosses the mark wakes the task, not every reply.
        let wanted = self.wanted.load(Ordering::SeqCst);
        if before > wanted && before - requests <= wanted {
            // The task asks again if it still waits.
            let _newer = self.wanted.compare_exchange(wanted, NEVER, Ordering::SeqCst, Ordering::SeqCst);
            self.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_task_is_woken_once_and_only_when_the_mark_is_crossed() {
        let (flow, woken) = (Flow::new(), Arc::<Woken>::default());
        flow.register(&Waker::from(Arc::clone(&woken)));
        let woken = || woken.0.load(Ordering::SeqCst);
        flow.take(10);
        flow.done(1);
        assert_eq!(woken(), 0, "nobody waits");
        assert!(!flow.wait(4));
        flow.done(4);
        assert_eq!(woken(), 0);
        flow.done(3);
        assert_eq!((woken(), flow.in_flight()), (1, 2));
        flow.done(2);
        assert_eq!(woken(), 1);
        assert!(flow.wait(4), "it is so already");
    }

    #[test]
    fn no_wake_up_is_lost_however_the_two_sides_meet() {
        for _ in 0..2_000 {
            let (flow, woken) = (Arc::new(Flow::new()), Arc::<Woken>::default());
            flow.register(&Waker::from(Arc::clone(&woken)));
            flow.take(2);
            let other = Arc::clone(&flow);
            let worker = std::thread::spawn(move || {
                other.done(1);
                other.done(1);
            });
            let at_once = flow.wait(0);
            worker.join().unwrap();
            assert!(at_once || woken.0.load(Ordering::SeqCst) == 1);
        }
    }
}
