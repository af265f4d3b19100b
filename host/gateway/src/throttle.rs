//! How much one connection may send.

use std::time::{Duration, Instant};

use duet_transport::{Rate, TokenBucket};

use crate::Rates;

/// A connection that sends this many times more messages than it may is closed.
const FLOOD: f64 = 10.0;

/// The meters of one connection.
#[derive(Debug)]
pub(crate) struct Throttle {
    rates: Rates,
    flood_rate: Rate,
    messages: TokenBucket,
    flood: TokenBucket,
    bytes: TokenBucket,
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Refuse,
    Close,
}

impl Throttle {
    pub(crate) fn new(rates: Rates, now: Instant) -> Self {
        let flood_rate = Rate { per_second: rates.messages.per_second * FLOOD, burst: rates.messages.burst * FLOOD };
        Self {
            rates,
            flood_rate,
            messages: TokenBucket::full(&rates.messages, now),
            flood: TokenBucket::full(&flood_rate, now),
            bytes: TokenBucket::full(&rates.bytes, now),
        }
    }

    /// Notes a read. Returns how long the next one has to wait.
    pub(crate) fn read(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        self.messages.refill(&self.rates.messages, now);
        self.flood.refill(&self.flood_rate, now);
        self.bytes.refill(&self.rates.bytes, now);
        // What was read is owed in full, and waiting pays for it. Otherwise each wait would make the next read free.
        let missing = self.bytes.owe(u32::try_from(bytes).unwrap_or(u32::MAX));
        (missing > 0.0).then(|| Duration::from_secs_f64(missing / self.rates.bytes.per_second))
    }

    /// Decides about a message of the last read.
    #[inline]
    pub(crate) fn message(&mut self) -> Verdict {
        match (self.messages.take(1), self.flood.take(1)) {
            (true, _) => Verdict::Pass,
            (false, true) => Verdict::Refuse,
            (false, false) => Verdict::Close,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates { messages: Rate { per_second: 10.0, burst: 20.0 }, bytes: Rate { per_second: 1000.0, burst: 2000.0 } };

    #[test]
    fn a_burst_passes_more_is_refused_and_a_flood_closes() {
        let now = Instant::now();
        let mut throttle = Throttle::new(RATES, now);
        assert_eq!(throttle.read(100, now), None);
        let verdicts: Vec<Verdict> = (0..201).map(|_| throttle.message()).collect();
        assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Pass).count(), 20);
        assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Refuse).count(), 180);
        assert_eq!(verdicts.last(), Some(&Verdict::Close));
        let later = now + Duration::from_secs(1);
        throttle.read(1, later);
        let passed = (0..20).filter(|_| throttle.message() == Verdict::Pass).count();
        assert_eq!(passed, 10, "a second later the rate is there again");
    }

    #[test]
    fn too_many_bytes_make_every_next_read_wait_as_long_as_they_are_worth() {
        let begun = Instant::now();
        let mut throttle = Throttle::new(RATES, begun);
        assert_eq!(throttle.read(2000, begun), None);
        let mut now = begun;
        for _ in 0..4 {
            let wait = throttle.read(500, now);
            assert_eq!(wait, Some(Duration::from_millis(500)), "after {:?}", now - begun);
            now += wait.unwrap_or_default();
        }
        assert_eq!(throttle.read(1000, now + Duration::from_secs(1)), None, "a second later the rate is there again");
    }
}
