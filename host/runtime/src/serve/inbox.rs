//! The bounded queue of requests that waits for one instance.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use duet_core::{Full, Mutex, Requests};
use tokio::sync::Notify;

use crate::panic::{contained, report};
use crate::serve::worker::WorkerQueue;

/// The requests of one read, and when they came.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) requests: Requests,
    pub(crate) at: Instant,
}

/// Whom an inbox tells that it is no longer empty.
#[derive(Debug)]
pub(crate) enum Signal {
    /// A worker thread, and the slot of the instance on it.
    Worker(Arc<WorkerQueue>, usize),
    /// The task of an instance in the asynchronous lane.
    Task(Notify),
}

/// Queue of one instance. Filled by I/O threads, emptied at once by its worker.
#[derive(Debug)]
pub(crate) struct Inbox {
    signal: Signal,
    messages_max: usize,
    bytes_max: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    messages: usize,
    bytes: usize,
    /// Who found no room, in the order in which they came.
    waiting: VecDeque<Waiting>,
    /// The worker knows that there is something.
    signalled: bool,
}

#[derive(Debug)]
struct Waiting {
    waker: Waker,
    messages: usize,
    bytes: usize,
}

impl Waiting {
    /// A waker is the gate's: one that panics must not keep the others asleep.
    fn wake(self) {
        if let Err(panic) = contained(|| self.waker.wake()) {
            report("a task of the gate", &panic);
        }
    }
}

/// More entries than connections explain: a task that is woken for other reasons offers again, and then waits twice. All are woken then.
const WAITING_MAX: usize = 1 << 17;

impl Inbox {
    pub(crate) fn new(signal: Signal, messages_max: usize, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { signal, messages_max, bytes_max, queue: Mutex::default() })
    }

    /// Adds the requests of one read, all or none.
    pub(crate) fn offer(&self, requests: Requests, waker: &Waker) -> Result<(), Full> {
        let (messages, bytes) = (requests.len(), requests.bytes().len());
        {
            let mut queue = self.queue.lock();
            let fits = queue.messages + messages <= self.messages_max && queue.bytes + bytes <= self.bytes_max;
            if !fits && queue.messages > 0 {
                if queue.waiting.len() >= WAITING_MAX {
                    queue.waiting.drain(..).for_each(Waiting::wake);
                }
                queue.waiting.push_back(Waiting { waker: waker.clone(), messages, bytes });
                return Err(Full(requests));
            }
            queue.messages += messages;
            queue.bytes += bytes;
            queue.chunks.push_back(Chunk { requests, at: Instant::now() });
            if std::mem::replace(&mut queue.signalled, true) {
                return Ok(());
            }
        }
        match &self.signal {
            Signal::Worker(worker, slot) => worker.ready(*slot),
            Signal::Task(notify) => notify.notify_one(),
        }
        Ok(())
    }

    /// Swaps what waits for the empty `into`, and wakes as many as there is room for now. If there was nothing, the next offer signals
    /// again.
    pub(crate) fn take(&self, into: &mut VecDeque<Chunk>) {
        let woken = {
            let mut queue = self.queue.lock();
            std::mem::swap(&mut queue.chunks, into);
            queue.messages = 0;
            queue.bytes = 0;
            queue.signalled = !into.is_empty();
            // If nobody came although there was room, those who were woken are gone: everybody may try.
            let count = if into.is_empty() { queue.waiting.len() } else { queue.fitting(self.messages_max, self.bytes_max) };
            queue.waiting.drain(..count).collect::<Vec<_>>()
        };
        woken.into_iter().for_each(Waiting::wake);
    }

    /// Waits until something is there (asynchronous lane).
    pub(crate) async fn filled(&self) {
        if let Signal::Task(notify) = &self.signal {
            notify.notified().await;
        }
    }
}

impl Queue {
    /// How many of those who wait fit into an empty queue; at least one.
    fn fitting(&self, messages_max: usize, bytes_max: usize) -> usize {
        let (mut messages, mut bytes) = (0, 0);
        let fitting = self.waiting.iter().take_while(|w| {
            messages += w.messages;
            bytes += w.bytes;
            messages <= messages_max && bytes <= bytes_max
        });
        fitting.count().max(1).min(self.waiting.len())
    }
}
