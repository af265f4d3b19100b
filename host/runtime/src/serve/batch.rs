//! Cuts what waits for an instance into calls.

use std::collections::VecDeque;
use std::time::Duration;

use duet_core::packed::RequestIter;

use crate::serve::inbox::Chunk;

/// What one call may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// Requests that were taken out of an inbox and are not handled yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) chunks: VecDeque<Chunk>,
    current: Option<Chunk>,
    done_bytes: usize,
    done_messages: usize,
}

/// One call's worth of request records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) messages: usize,
    /// Whether they have waited too long: all of them or none.
    pub(crate) is_late: bool,
}

impl Pending {
    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.current.is_none() && self.chunks.is_empty()
    }

    /// The next call's worth. It never waits for more than is there, and never copies a chunk that fills a call by itself. What came before
    /// `oldest` is late, and shares no call with what is not.
    pub(crate) fn next(&mut self, limits: BatchLimits, oldest: Option<Duration>) -> Option<Slice<'_>> {
        if self.current.as_ref().is_none_or(|c| self.done_messages >= c.requests.len()) {
            self.refill(limits, oldest);
        }
        let current = self.current.as_ref()?;
        let rest = current.requests.bytes().get(self.done_bytes..)?;
        let messages_left = current.requests.len() - self.done_messages;
        let (messages, bytes) = if messages_left <= limits.messages && rest.len() <= limits.bytes {
            (messages_left, rest.len())
        } else {
            fitting(rest, limits)
        };
        self.done_messages += messages;
        self.done_bytes += bytes;
        Some(Slice { bytes: rest.get(..bytes)?, messages, is_late: Some(current.at) < oldest })
    }

    /// Forgets a chunk whose last slice has been handled.
    pub(crate) fn advance(&mut self) {
        if self.current.as_ref().is_some_and(|c| self.done_messages >= c.requests.len()) {
            self.current = None;
        }
    }

    /// Begins the next chunk. Small chunks that follow are joined to it as far as they fit into one call.
    fn refill(&mut self, limits: BatchLimits, oldest: Option<Duration>) {
        (self.done_bytes, self.done_messages) = (0, 0);
        self.current = self.chunks.pop_front();
        let Some(current) = &mut self.current else { return };
        while let Some(next) = self.chunks.front() {
            let fits = (Some(current.at) < oldest) == (Some(next.at) < oldest)
                && current.requests.len() + next.requests.len() <= limits.messages
                && current.requests.bytes().len() + next.requests.bytes().len() <= limits.bytes;
            if !fits {
                break;
            }
            if let Some(next) = self.chunks.pop_front() {
                current.requests.append(next.requests);
            }
        }
    }
}

/// Number and bytes of the first records that fit; at least one.
fn fitting(records: &[u8], limits: BatchLimits) -> (usize, usize) {
    let mut iter = RequestIter::new(records);
    let (mut messages, mut bytes) = (0, 0);
    while messages < limits.messages && iter.next().is_some() {
        let end = records.len() - iter.rest().len();
        if messages > 0 && end > limits.bytes {
            break;
        }
        (messages, bytes) = (messages + 1, end);
    }
    (messages, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use duet_core::{ConnId, Request, RequestKind, Requests, Route, Seq};

    const LIMITS: BatchLimits = BatchLimits { messages: 4, bytes: 1000 };

    fn chunk(sizes: &[usize], at: Duration) -> Chunk {
        let mut requests = Requests::default();
        for (i, size) in sizes.iter().enumerate() {
            let body = vec![0; *size];
            requests.push(&Request {
                kind: RequestKind::Message,
                conn: ConnId(1),
                uid: None,
                route: Route(1),
                seq: Seq(i as i32),
                key: None,
                body: &body,
            });
        }
        Chunk { requests, at }
    }

    fn calls(chunks: &[&[usize]]) -> Vec<usize> {
        let mut pending = Pending::default();
        let now = Duration::from_secs(60);
        pending.chunks.extend(chunks.iter().map(|sizes| chunk(sizes, now)));
        let mut calls = Vec::new();
        while let Some(slice) = pending.next(LIMITS, None) {
            assert_eq!(RequestIter::new(slice.bytes).count(), slice.messages);
            calls.push(slice.messages);
            pending.advance();
        }
        assert!(pending.is_empty());
        calls
    }

    #[test]
    fn small_chunks_are_joined_and_large_ones_cut_by_number_and_by_bytes() {
        assert_eq!(calls(&[&[1], &[1], &[1], &[1], &[1]]), [4, 1]);
        assert_eq!(calls(&[&[1; 10]]), [4, 4, 2]);
        assert_eq!(calls(&[&[400, 400, 400]]), [2, 1]);
        assert_eq!(calls(&[&[400, 400], &[400]]), [2, 1]);
    }

    #[test]
    fn a_request_above_the_byte_limit_is_a_call_of_its_own() {
        assert_eq!(calls(&[&[5000, 1], &[5000]]), [1, 1, 1]);
    }

    #[test]
    fn fresh_requests_are_not_joined_to_late_ones() {
        let now = Duration::from_secs(60);
        let late = now - Duration::from_secs(6);
        let mut pending = Pending::default();
        pending.chunks.extend([chunk(&[1], late), chunk(&[1], late), chunk(&[1], now), chunk(&[1], now)]);
        let mut calls = Vec::new();
        while let Some(slice) = pending.next(LIMITS, Some(now - Duration::from_secs(5))) {
            calls.push((slice.messages, slice.is_late));
            pending.advance();
        }
        assert_eq!(calls, [(2, true), (2, false)]);
    }
}
