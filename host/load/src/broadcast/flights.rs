//! The broadcasts under way, and whom they have reached.

use std::collections::VecDeque;
use std::time::Duration;

/// In the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct Flights {
    under_way: VecDeque<Flight>,
    /// The number of the oldest.
    first: u64,
}

#[derive(Debug)]
struct Flight {
    /// In microseconds of the run's clock.
    sent_at: u32,
    delivered: usize,
}

impl Flights {
    pub(super) fn count(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The number of the next one.
    pub(super) fn next(&self) -> u64 {
        self.first + self.under_way.len() as u64
    }

    /// Notes one that is being asked for.
    pub(super) fn begin(&mut self, now: u32) {
        self.under_way.push_back(Flight { sent_at: now, delivered: 0 });
    }

    /// Notes a delivery and says when its broadcast was asked for. `None` if it is not under way.
    pub(super) fn deliver(&mut self, number: u64) -> Option<u32> {
        let flight = self.under_way.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)?;
        flight.delivered += 1;
        Some(flight.sent_at)
    }

    /// Forgets those that have reached everybody.
    pub(super) fn land(&mut self, open: usize) {
        while self.under_way.pop_front_if(|flight| flight.delivered >= open).is_some() {
            self.first += 1;
        }
    }

    /// Deliveries that are still to come.
    pub(super) fn missing(&self, open: usize) -> u64 {
        self.under_way.iter().map(|flight| open.saturating_sub(flight.delivered) as u64).sum()
    }

    /// Whether the oldest has been under way for longer.
    pub(super) fn is_older_than(&self, limit: Duration, now: Duration) -> bool {
        let age = |flight: &Flight| Duration::from_micros((now.as_micros() as u32).wrapping_sub(flight.sent_at).into());
        self.under_way.front().is_some_and(|flight| age(flight) > limit)
    }
}
