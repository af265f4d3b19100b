//! The requests of one connection that wait for their answer: a ring of send times, looked up by seq.

use super::frames::seq_of;

/// A ring is at least this long, so that one slow answer may be overtaken by many before it is given up.
const RING_MIN: usize = 1_024;

/// Requests are numbered from 0; a send time of 0 marks an answered one.
#[derive(Debug)]
pub(super) struct Outstanding {
    sent_at: Box<[u32]>,
    seq_max: Option<u32>,
    window: usize,
    waiting: usize,
    first: u64,
    first_seq: u32,
    next: u64,
    lost: u64,
}

/// What an answer's seq says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matched {
    /// It is the oldest request that waits.
    InOrder {
        /// When it was sent, in microseconds of the run's clock.
        sent_at: u32,
    },
    /// It waits, but an older one does too.
    Overtaking {
        /// When it was sent, in microseconds of the run's clock.
        sent_at: u32,
    },
    /// No request with this seq waits.
    Unknown,
}

impl Outstanding {
    /// `window` must not exceed `seq_max`.
    pub(super) fn new(window: usize, seq_max: Option<u32>) -> Self {
        let wanted = if window == 1 { 1 } else { (2 * window).max(RING_MIN) };
        // Two requests in the ring never share a seq.
        let length = seq_max.map_or(wanted, |max| wanted.min(max as usize)).max(1);
        let length = if length.is_power_of_two() { length } else { length.next_power_of_two() };
        Self { sent_at: vec![0; length].into_boxed_slice(), seq_max, window, waiting: 0, first: 0, first_seq: 1, next: 0, lost: 0 }
    }

    /// Whether answers are told apart by a seq. Then 0 is none: it marks a push.
    pub(super) fn has_seqs(&self) -> bool {
        self.seq_max.is_some()
    }

    /// The number of the next request.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Requests that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Requests given up because their seq was needed again: that many later ones had been answered.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Notes up to `count` new requests, as many as the window allows, and says how many.
    pub(super) fn send(&mut self, count: usize, now: u32) -> usize {
        let range_max = self.range_max();
        let mut sent = 0;
        while sent < count && self.waiting < self.window {
            if self.next - self.first >= range_max {
                self.give_up_first();
            }
            let index = self.slot(self.next);
            if let Some(slot) = self.sent_at.get_mut(index) {
                *slot = now.max(1);
            }
            self.next += 1;
            self.waiting += 1;
            sent += 1;
        }
        sent
    }

    /// Finds the request that an answer with this seq belongs to and takes it out.
    pub(super) fn answer(&mut self, seq: i32) -> Matched {
        let Some(ahead) = self.ahead(seq) else { return Matched::Unknown };
        if ahead >= self.next - self.first {
            return Matched::Unknown;
        }
        let index = self.slot(self.first + ahead);
        let sent_at = self.sent_at.get_mut(index).map_or(0, std::mem::take);
        if sent_at == 0 {
            return Matched::Unknown;
        }
        self.waiting -= 1;
        if ahead > 0 {
            return Matched::Overtaking { sent_at };
        }
        self.skip_answered();
        Matched::InOrder { sent_at }
    }

    /// How far the request with this seq is behind the oldest one.
    fn ahead(&self, seq: i32) -> Option<u64> {
        let Some(max) = self.seq_max else {
            // Without a seq every answer is taken for that of the oldest.
            return (seq == 0).then_some(0);
        };
        let seq = u32::try_from(seq).ok().filter(|seq| (1..=max).contains(seq))?;
        let ahead = if seq >= self.first_seq { seq - self.first_seq } else { seq + max - self.first_seq };
        Some(u64::from(ahead))
    }

    fn range_max(&self) -> u64 {
        let ring = self.sent_at.len() as u64;
        self.seq_max.map_or(ring, |max| ring.min(u64::from(max)))
    }

    fn slot(&self, number: u64) -> usize {
        number as usize & (self.sent_at.len() - 1)
    }

    fn give_up_first(&mut self) {
        let index = self.slot(self.first);
        if let Some(slot) = self.sent_at.get_mut(index) {
            *slot = 0;
        }
        self.waiting -= 1;
        self.lost += 1;
        self.skip_answered();
    }

    /// Moves on from an answered oldest request to the next one that waits.
    fn skip_answered(&mut self) {
        while self.first < self.next && self.sent_at.get(self.slot(self.first)).is_none_or(|sent_at| *sent_at == 0) {
            self.first += 1;
            self.first_seq = match self.seq_max {
                Some(max) if self.first_seq < max => self.first_seq + 1,
                _ => 1,
            };
        }
        debug_assert!(self.seq_max.is_none_or(|max| self.first_seq == seq_of(self.first, max)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_order_free_the_window() {
        let mut outstanding = Outstanding::new(2, Some(127));
        assert_eq!(outstanding.send(5, 10), 2);
        assert_eq!(outstanding.answer(1), Matched::InOrder { sent_at: 10 });
        assert_eq!(outstanding.send(5, 11), 1);
        assert_eq!(outstanding.answer(2), Matched::InOrder { sent_at: 10 });
        assert_eq!(outstanding.answer(3), Matched::InOrder { sent_at: 11 });
        assert_eq!((outstanding.waiting(), outstanding.next()), (0, 3));
    }

    #[test]
    fn an_overtaking_answer_is_told_from_a_second_and_a_foreign_one() {
        let mut outstanding = Outstanding::new(3, Some(127));
        outstanding.send(3, 1);
        assert_eq!(outstanding.answer(2), Matched::Overtaking { sent_at: 1 });
        for unknown in [2, 4, 0, -1, 128] {
            assert_eq!(outstanding.answer(unknown), Matched::Unknown, "{unknown}");
        }
        assert_eq!(outstanding.answer(1), Matched::InOrder { sent_at: 1 });
        assert_eq!(outstanding.answer(3), Matched::InOrder { sent_at: 1 });
    }

    #[test]
    fn seqs_go_round_many_times() {
        for window in [1, 7, 127] {
            let mut outstanding = Outstanding::new(window, Some(127));
            let mut seq = 1;
            for _ in 0..1_000 {
                assert_eq!(outstanding.send(window, 5), window);
                for _ in 0..window {
                    assert_eq!(outstanding.answer(seq), Matched::InOrder { sent_at: 5 });
                    seq = seq % 127 + 1;
                }
            }
            assert_eq!(outstanding.lost(), 0);
        }
    }

    #[test]
    fn a_request_that_is_never_answered_does_not_stop_the_others() {
        let mut outstanding = Outstanding::new(2, Some(127));
        outstanding.send(2, 1);
        for seq in 2..=127 {
            assert!(matches!(outstanding.answer(seq), Matched::Overtaking { .. }));
            assert_eq!(outstanding.send(1, 2), 1);
        }
        assert_eq!(outstanding.lost(), 1);
        assert_eq!(outstanding.answer(1), Matched::InOrder { sent_at: 2 });
    }

    #[test]
    fn without_a_seq_answers_are_taken_in_order() {
        let mut outstanding = Outstanding::new(2, None);
        outstanding.send(1, 1);
        outstanding.send(1, 2);
        assert_eq!(outstanding.answer(0), Matched::InOrder { sent_at: 1 });
        assert_eq!(outstanding.answer(0), Matched::InOrder { sent_at: 2 });
        assert_eq!(outstanding.answer(0), Matched::Unknown);
    }
}
