//! A worker: an operating system thread that calls the instances it owns, one call at a time, in turn.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use duet_core::{Condvar, Mutex};

use crate::panic;
use crate::serve::slot::Slot;

/// What other threads tell a worker.
#[derive(Default)]
pub(crate) struct WorkerQueue {
    orders: Mutex<Orders>,
    wake: Condvar,
}

#[derive(Default)]
struct Orders {
    /// Slots whose inbox is no longer empty.
    ready: VecDeque<usize>,
    new: Vec<(usize, Slot)>,
    slots: usize,
    stop: bool,
}

impl std::fmt::Debug for WorkerQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerQueue").finish_non_exhaustive()
    }
}

impl WorkerQueue {
    fn order(&self, order: impl FnOnce(&mut Orders)) {
        order(&mut self.orders.lock());
        self.wake.notify_one();
    }

    /// An inbox has requests.
    pub(crate) fn ready(&self, slot: usize) {
        self.order(|o| o.ready.push_back(slot));
    }

    /// A number for a slot that will be installed.
    pub(crate) fn reserve(&self) -> usize {
        let mut orders = self.orders.lock();
        orders.slots += 1;
        orders.slots - 1
    }

    /// Hands a slot over.
    pub(crate) fn install(&self, number: usize, slot: Slot) {
        self.order(|o| o.new.push((number, slot)));
    }
}

/// The thread of a worker; ends it when dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) queue: Arc<WorkerQueue>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start(number: usize) -> std::io::Result<Self> {
        let queue = Arc::<WorkerQueue>::default();
        let orders = Arc::clone(&queue);
        let (mut slots, mut ready) = (Vec::new(), VecDeque::new());
        let thread = panic::thread(format!("duet-worker-{number}"), move || run(&orders, &mut slots, &mut ready))?;
        Ok(Self { queue, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.order(|o| o.stop = true);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(queue: &WorkerQueue, slots: &mut Vec<Option<Slot>>, ready: &mut VecDeque<usize>) {
    loop {
        {
            let mut orders = queue.orders.lock();
            while ready.is_empty() && orders.ready.is_empty() && orders.new.is_empty() && !orders.stop {
                orders = queue.wake.wait(orders);
            }
            ready.append(&mut orders.ready);
            for (number, slot) in orders.new.drain(..) {
                slots.resize_with(slots.len().max(number + 1), || None);
                if let Some(place) = slots.get_mut(number) {
                    *place = Some(slot);
                }
            }
            if orders.stop && ready.is_empty() {
                break;
            }
        }
        // One call, then the next plugin's turn. A slot that panicked may have more to do.
        if let Some(number) = ready.pop_front()
            && let Some(Some(slot)) = slots.get_mut(number)
            && guarded(|| at_once(slot.step())).is_none_or(|step| step == Some(true))
        {
            ready.push_back(number);
        }
    }
    for slot in slots.iter_mut().flatten() {
        guarded(|| at_once(slot.stop()));
    }
}

/// `None` after a panic.
fn guarded<T>(f: impl FnOnce() -> T) -> Option<T> {
    panic::contained(f).inspect_err(|panic| panic::report("a worker", panic)).ok()
}

/// The result of a future that does not wait. Slots in the synchronous lane never do.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
