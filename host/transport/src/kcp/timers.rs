//! Deadlines of connections in one heap. Any thread sets them, the driver keeps them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use duet_core::Mutex;
use tokio::sync::Notify;

use super::key::Key;

/// The deadlines of a port. A connection that has moved its deadline ignores the old one when it comes.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    heap: BinaryHeap<Reverse<(Instant, Key)>>,
    /// When the driver looks next; never, if there is nothing to look for.
    looks: Option<Instant>,
}

impl Timers {
    /// Sets a deadline, and wakes the driver if it would look too late.
    pub(super) fn arm(&self, at: Instant, key: Key) {
        let mut queue = self.queue.lock();
        queue.heap.push(Reverse((at, key)));
        if queue.looks.is_none_or(|looks| at < looks) {
            queue.looks = Some(at);
            drop(queue);
            self.wake();
        }
    }

    /// When the driver has to look next, at `latest` if that is given.
    pub(super) fn plan(&self, latest: Option<Instant>) -> Option<Instant> {
        let mut queue = self.queue.lock();
        let first = queue.heap.peek().map(|Reverse((at, _))| *at);
        queue.looks = [first, latest].into_iter().flatten().min();
        queue.looks
    }

    /// Takes the next deadline that has passed.
    pub(super) fn due(&self, now: Instant) -> Option<(Instant, Key)> {
        let mut queue = self.queue.lock();
        // The driver is awake: it plans again before it sleeps.
        queue.looks = Some(now);
        let Reverse((at, _)) = queue.heap.peek()?;
        if *at <= now { queue.heap.pop().map(|Reverse(entry)| entry) } else { None }
    }

    /// Lets the driver look now.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Waits until the driver has to look.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_come_in_their_order_and_not_before_their_time() {
        let (timers, now) = (Timers::default(), Instant::now());
        let key = |conv| Key { peer: "192.0.2.1:7".parse().expect("address"), conv };
        let at = |ms| now + Duration::from_millis(ms);
        [(30, 3), (10, 1), (20, 2)].into_iter().for_each(|(ms, conv)| timers.arm(at(ms), key(conv)));
        assert_eq!(timers.plan(None), Some(at(10)));
        assert_eq!(timers.plan(Some(at(5))), Some(at(5)));
        assert_eq!(timers.due(at(9)), None);
        assert_eq!(timers.due(at(20)), Some((at(10), key(1))));
        assert_eq!(timers.due(at(20)), Some((at(20), key(2))));
        assert_eq!(timers.due(at(20)), None);
    }
}
