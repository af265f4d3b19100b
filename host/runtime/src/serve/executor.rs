//! The threads that run instances.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::serve::worker::Worker;

/// Workers, on which tasks are placed in turn. A task never moves.
pub(crate) struct Executor {
    workers: Vec<Worker>,
    next: AtomicUsize,
}

impl Executor {
    /// Starts this many workers, at least one.
    pub(crate) fn start(workers: usize) -> io::Result<Self> {
        Ok(Self { workers: (0..workers.max(1)).map(Worker::start).collect::<Result<_, _>>()?, next: AtomicUsize::new(0) })
    }

    /// How many workers there are.
    pub(crate) const fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Places a task on the next worker.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len().max(1);
        if let Some(worker) = self.workers.get(next) {
            worker.spawn(work);
        }
    }
}
