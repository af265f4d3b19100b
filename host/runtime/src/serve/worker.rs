//! A worker: an operating system thread that runs the tasks placed on it, in turn. A task has its turn until it waits or yields.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;

use duet_core::{Condvar, Mutex};

use crate::panic;

/// What a task does.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task on its worker, and what wakes it.
struct Task {
    queue: Arc<Queue>,
    /// Whether it is already waiting for its turn.
    is_ready: AtomicBool,
    /// Only its worker takes this lock. `None` when it is done.
    work: Mutex<Option<Work>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::AcqRel) {
            let queue = Arc::clone(&self.queue);
            queue.order(|orders| orders.ready.push_back(self));
        }
    }
}

/// What other threads tell a worker.
#[derive(Default)]
struct Queue {
    orders: Mutex<Orders>,
    wake: Condvar,
}

#[derive(Default)]
struct Orders {
    /// Those who are to have a turn, in order.
    ready: VecDeque<Arc<Task>>,
    /// Tasks that are not done.
    tasks: usize,
    /// No more will come: the worker ends with the last task.
    stop: bool,
    /// The worker has nothing to do and must be woken.
    is_asleep: bool,
}

impl Queue {
    /// Gives an order, and wakes the worker if it sleeps. It goes to sleep under the same lock, so no order is missed; and it is notified
    /// after the lock is free, so it does not wake only to wait for it.
    fn order(&self, order: impl FnOnce(&mut Orders)) {
        let was_asleep = {
            let mut orders = self.orders.lock();
            order(&mut orders);
            std::mem::take(&mut orders.is_asleep)
        };
        if was_asleep {
            self.wake.notify_one();
        }
    }

    /// Waits for the next turn; `None` when there will be no more.
    fn next(&self) -> Option<Arc<Task>> {
        let mut orders = self.orders.lock();
        loop {
            if let Some(task) = orders.ready.pop_front() {
                return Some(task);
            }
            if orders.stop && orders.tasks == 0 {
                return None;
            }
            orders.is_asleep = true;
            orders = self.wake.wait(orders);
        }
    }
}

/// The thread of a worker. When dropped it waits for the tasks, which must have been told to end.
pub(crate) struct Worker {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start(number: usize) -> std::io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let turns = Arc::clone(&queue);
        let thread = panic::thread(format!("duet-worker-{number}"), move || {
            while let Some(task) = turns.next() {
                task.turn();
            }
        })?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Hands a task over.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let work: Work = Box::pin(work);
        let task = Task { queue: Arc::clone(&self.queue), is_ready: AtomicBool::new(true), work: Mutex::new(Some(work)) };
        self.queue.order(|orders| {
            orders.tasks += 1;
            orders.ready.push_back(Arc::new(task));
        });
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.order(|orders| orders.stop = true);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Task {
    fn turn(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut work = self.work.lock();
        let Some(running) = work.as_mut() else { return };
        // Cleared before it is polled: a wake-up that comes meanwhile gives it another turn.
        self.is_ready.swap(false, Ordering::AcqRel);
        let polled = panic::contained(|| running.as_mut().poll(&mut Context::from_waker(&waker)));
        if polled.as_ref().is_ok_and(Poll::is_pending) {
            return;
        }
        // It is gone whatever happens while it is dropped: the worker waits for those that are counted.
        let done = work.take();
        let dropped = panic::contained(|| drop(done));
        self.queue.order(|orders| orders.tasks -= 1);
        for panic in [polled.err(), dropped.err()].into_iter().flatten() {
            panic::report("a task of a worker", &panic);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use super::*;

    /// A future that is done at once, and panics when it is dropped.
    struct Fragile;

    impl Future for Fragile {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    impl Drop for Fragile {
        fn drop(&mut self) {
            panic!("injected into the end of a task");
        }
    }

    #[test]
    fn a_worker_ends_with_its_tasks_also_if_dropping_one_panics() {
        let worker = Worker::start(0).unwrap();
        worker.spawn(Fragile);
        let (told, over) = sync_channel(1);
        std::thread::spawn(move || {
            drop(worker);
            told.send(()).unwrap();
        });
        over.recv_timeout(Duration::from_secs(20)).unwrap();
    }

    #[test]
    fn tasks_have_their_turns_one_after_the_other_and_one_that_panics_takes_no_other_with_it() {
        let worker = Worker::start(0).unwrap();
        let (told, turns) = sync_channel(100);
        let (open, opened) = sync_channel::<()>(1);
        // Holds the worker until all are there.
        worker.spawn(async move { opened.recv().unwrap() });
        for name in ['a', 'b', 'c'] {
            let told = told.clone();
            worker.spawn(async move {
                for turn in 0..3 {
                    assert!((name, turn) != ('b', 1), "injected into a task");
                    told.send((name, turn)).unwrap();
                    tokio::task::yield_now().await;
                }
            });
        }
        open.send(()).unwrap();
        drop((told, worker));
        let turns: Vec<_> = turns.iter().collect();
        assert_eq!(turns, [('a', 0), ('b', 0), ('c', 0), ('a', 1), ('c', 1), ('a', 2), ('c', 2)]);
    }
}
