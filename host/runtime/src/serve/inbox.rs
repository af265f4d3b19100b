//! The bounded queue of requests that waits for one instance.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use duet_core::{Full, Mutex, Requests};

use crate::call::engine::Uptime;
use crate::panic::{contained, report};
use crate::serve::hold::Hold;

/// The requests of one read, and how long the process had run when they came.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) requests: Requests,
    pub(crate) at: Duration,
}

/// Queue of one instance. Filled by I/O threads, and emptied in one go by the task of the instance.
#[derive(Debug)]
pub(crate) struct Inbox {
    messages_max: usize,
    bytes_max: usize,
    queue: Mutex<Queue>,
    /// Requests that were accepted and are not handled yet, wherever they are.
    in_flight: AtomicUsize,
    uptime: Uptime,
    /// There is an order in the queue. Read between two calls; only this says whether to look.
    is_ordered: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    messages: usize,
    bytes: usize,
    /// Those who found no room, in the order in which they came.
    waiting: VecDeque<Waiting>,
    /// The task that handles them, if it is waiting for something to come.
    reader: Option<Waker>,
    /// Whoever handles them is to give way.
    order: Option<Hold>,
    is_closed: bool,
}

#[derive(Debug)]
struct Waiting {
    waker: Waker,
    messages: usize,
    bytes: usize,
}

impl Waiting {
    /// Wakers belong to the gate: one that panics must not leave the others asleep.
    fn wake(self) {
        if let Err(panic) = contained(|| self.waker.wake()) {
            report("a task of the gate", &panic);
        }
    }
}

/// More entries than there can be connections: a task that is woken for another reason offers again, and is then in the list twice. At this
/// length, all are woken.
const WAITING_MAX: usize = 1 << 17;

impl Inbox {
    pub(crate) fn new(messages_max: usize, bytes_max: usize, uptime: Uptime) -> Arc<Self> {
        Arc::new(Self {
            messages_max,
            bytes_max,
            queue: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            uptime,
            is_ordered: AtomicBool::new(false),
        })
    }

    /// What came before has waited for at least this long, if anything can have.
    pub(crate) fn before(&self, wait: Duration) -> Option<Duration> {
        self.uptime.now().checked_sub(wait)
    }

    /// Adds the requests of one read, all or none. A read is taken into an empty queue whatever its size, because it would never fit
    /// otherwise. The waker is noted under the lock under which room is made, so room cannot be made unnoticed in between.
    pub(crate) fn offer(&self, requests: Requests, waker: &Waker) -> Result<(), Full> {
        let (messages, bytes) = (requests.len(), requests.bytes().len());
        let mut queue = self.queue.lock();
        if queue.is_closed {
            drop(queue);
            // Whoever offers it again finds another place for it, or is told that there is none.
            waker.wake_by_ref();
            return Err(Full(requests));
        }
        let fits = queue.messages + messages <= self.messages_max && queue.bytes + bytes <= self.bytes_max;
        if !fits && queue.messages > 0 {
            if queue.waiting.len() >= WAITING_MAX {
                queue.waiting.drain(..).for_each(Waiting::wake);
            }
            queue.waiting.push_back(Waiting { waker: waker.clone(), messages, bytes });
            return Err(Full(requests));
        }
        self.in_flight.fetch_add(messages, Ordering::AcqRel);
        queue.messages += messages;
        queue.bytes += bytes;
        queue.chunks.push_back(Chunk { requests, at: self.uptime.now() });
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    /// Swaps what is there with `into`, which is empty, and wakes as many as there is now room for. If there is nothing, not even an
    /// order, the reader is woken by what comes next; `false` if nothing ever will.
    pub(crate) fn poll_take(&self, cx: &Context<'_>, into: &mut VecDeque<Chunk>) -> Poll<bool> {
        let mut queue = self.queue.lock();
        std::mem::swap(&mut queue.chunks, into);
        queue.messages = 0;
        queue.bytes = 0;
        let taken = match into.is_empty() {
            false => Poll::Ready(true),
            true if queue.order.is_some() => Poll::Ready(true),
            true if queue.is_closed => Poll::Ready(false),
            true => {
                queue.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        };
        // If nobody came although there was room, those who were woken are gone, so everybody may try.
        let count = if into.is_empty() { queue.waiting.len() } else { queue.fitting(self.messages_max, self.bytes_max) };
        let woken: Vec<_> = queue.waiting.drain(..count).collect();
        drop(queue);
        woken.into_iter().for_each(Waiting::wake);
        taken
    }

    /// Orders whoever handles the requests to give way. False if nobody will any more.
    pub(crate) fn hold(&self, order: Hold) -> bool {
        let mut queue = self.queue.lock();
        if queue.is_closed {
            return false;
        }
        queue.order = Some(order);
        self.is_ordered.store(true, Ordering::Relaxed);
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    /// Whether there is an order. A reader that is about to wait finds out in any case, because it looks under the lock.
    #[inline]
    pub(crate) fn is_ordered(&self) -> bool {
        self.is_ordered.load(Ordering::Relaxed)
    }

    /// Takes the order out, to follow it or to take it back.
    pub(crate) fn take_order(&self) -> Option<Hold> {
        let mut queue = self.queue.lock();
        self.is_ordered.store(false, Ordering::Relaxed);
        queue.order.take()
    }

    /// Requests that were accepted and are not handled yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Notes that this many of them are handled.
    pub(crate) fn done(&self, requests: usize) {
        self.in_flight.fetch_sub(requests, Ordering::AcqRel);
    }

    /// Accepts nothing more. What is there is handled, then the instance ends.
    pub(crate) fn close(&self) {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
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

#[cfg(test)]
mod tests {
    use duet_core::{ConnId, Request, RequestKind, Route, Seq};

    use super::*;

    fn read() -> Requests {
        let mut requests = Requests::default();
        let (kind, body) = (RequestKind::Message, b"".as_slice());
        requests.push(&Request { kind, conn: ConnId(1), uid: None, route: Route(1), seq: Seq(1), key: None, body });
        requests
    }

    #[test]
    fn what_is_in_an_inbox_when_it_is_closed_is_handed_out_and_nothing_more_is_taken() {
        let inbox = Inbox::new(10, 1000, Uptime::default());
        let (cx, mut chunks) = (Context::from_waker(Waker::noop()), VecDeque::new());
        assert_eq!(inbox.poll_take(&cx, &mut chunks), Poll::Pending);
        inbox.offer(read(), Waker::noop()).unwrap();
        inbox.close();
        assert!(inbox.offer(read(), Waker::noop()).is_err());
        assert_eq!(inbox.poll_take(&cx, &mut chunks), Poll::Ready(true));
        assert_eq!((chunks.drain(..).count(), inbox.in_flight()), (1, 1));
        inbox.done(1);
        assert_eq!(inbox.poll_take(&cx, &mut chunks), Poll::Ready(false));
        assert_eq!(inbox.in_flight(), 0);
    }
}
