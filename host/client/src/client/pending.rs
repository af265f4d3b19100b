//! Requests that wait for their answer, by route and seq.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::incoming::Reply;
use crate::error::ClientError;

/// What came back for a request.
pub(super) type Answer = Result<Reply, Refusal>;

/// The content of an error packet.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) message: String,
}

#[derive(Debug)]
pub(super) struct Pending {
    table: Mutex<Table>,
    seq_max: i32,
}

#[derive(Debug, Default)]
struct Table {
    waiting: HashMap<(i32, i32), oneshot::Sender<Answer>>,
    last_seq: i32,
    closed: bool,
}

/// A place in the table; dropping it gives the place up.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    pending: &'a Pending,
    key: (i32, i32),
    answer: oneshot::Receiver<Answer>,
}

impl Pending {
    pub(super) fn new(seq_max: i32) -> Self {
        Self { table: Mutex::default(), seq_max }
    }

    /// Takes a seq for a request to `route`. `None` if the connection has ended.
    pub(super) fn open(&self, route: i32) -> Result<Option<Ticket<'_>>, ClientError> {
        if self.seq_max == 0 {
            return Err(ClientError::NoSeq);
        }
        let mut table = self.lock();
        if table.closed {
            return Ok(None);
        }
        // One try more than there are waiting requests finds a free seq, if there is one.
        for _ in 0..=table.waiting.len() {
            let key = (route, table.advance(self.seq_max));
            if let Entry::Vacant(entry) = table.waiting.entry(key) {
                let (sender, answer) = oneshot::channel();
                entry.insert(sender);
                return Ok(Some(Ticket { pending: self, key, answer }));
            }
        }
        Err(ClientError::SeqExhausted { route })
    }

    pub(super) fn next_seq(&self) -> i32 {
        self.lock().advance(self.seq_max)
    }

    /// The seq that was given out last.
    pub(super) fn last_seq(&self) -> i32 {
        self.lock().last_seq
    }

    /// Continues after the seqs of another connection.
    pub(super) fn go_on_from(&self, last_seq: i32) {
        self.lock().last_seq = last_seq;
    }

    /// Hands an answer to the request that waits for it, or back.
    pub(super) fn resolve(&self, route: i32, seq: i32, answer: Answer) -> Result<(), Answer> {
        let waiting = self.lock().waiting.remove(&(route, seq));
        match waiting {
            Some(sender) => sender.send(answer),
            None => Err(answer),
        }
    }

    pub(super) fn close(&self) {
        let mut table = self.lock();
        table.closed = true;
        table.waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn advance(&mut self, seq_max: i32) -> i32 {
        self.last_seq = if self.last_seq >= seq_max { seq_max.min(1) } else { self.last_seq + 1 };
        self.last_seq
    }
}

impl Ticket<'_> {
    pub(super) fn route(&self) -> i32 {
        self.key.0
    }

    pub(super) fn seq(&self) -> i32 {
        self.key.1
    }

    /// `None` if the connection ended first.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.pending.lock().waiting.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seqs_wrap_from_the_largest_to_one_and_skip_those_that_wait() {
        let pending = Pending::new(3);
        let first = pending.open(7).unwrap().unwrap();
        let second = pending.open(7).unwrap().unwrap();
        assert_eq!((first.seq(), second.seq(), pending.next_seq()), (1, 2, 3));
        drop(second);
        assert_eq!(pending.open(7).unwrap().unwrap().seq(), 2);
    }

    #[test]
    fn a_route_whose_seqs_all_wait_is_exhausted() {
        let pending = Pending::new(2);
        let _tickets = [pending.open(7).unwrap(), pending.open(7).unwrap()];
        assert!(matches!(pending.open(7), Err(ClientError::SeqExhausted { route: 7 })));
        assert!(pending.open(8).is_ok());
    }

    #[test]
    fn a_format_without_a_seq_has_no_requests() {
        let pending = Pending::new(0);
        assert!(matches!(pending.open(1), Err(ClientError::NoSeq)));
        assert_eq!(pending.next_seq(), 0);
    }

    #[test]
    fn after_the_end_nothing_can_wait() {
        let pending = Pending::new(9);
        pending.close();
        assert!(pending.open(1).unwrap().is_none());
    }
}
