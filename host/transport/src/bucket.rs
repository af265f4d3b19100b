//! A token bucket: a number of things a second, and a burst of them at once.

use std::time::Instant;

/// How fast a bucket fills, and how much it holds. Kept apart from the buckets, of which there may be one for each connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens that come back in a second.
    pub per_second: f64,
    /// Most tokens that a bucket holds.
    pub burst: f64,
}

/// How much of a [`Rate`] somebody has left. 24 bytes.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    tokens: f64,
    refilled: Instant,
}

impl TokenBucket {
    /// A bucket from which nothing was taken yet.
    pub const fn full(rate: &Rate, now: Instant) -> Self {
        Self { tokens: rate.burst, refilled: now }
    }

    /// Puts in what has come since the last time. A clock that goes back brings nothing.
    #[inline]
    pub fn refill(&mut self, rate: &Rate, now: Instant) {
        self.tokens = self.level(rate, now);
        self.refilled = self.refilled.max(now);
    }

    /// Takes all of `tokens` or nothing, of what was there at the last [`TokenBucket::refill`]: a comparison and a subtraction.
    #[inline]
    pub fn take(&mut self, tokens: u32) -> bool {
        let enough = self.tokens >= f64::from(tokens);
        if enough {
            self.tokens -= f64::from(tokens);
        }
        enough
    }

    /// Takes `tokens` even if they are not there. Returns how many are missing; they are paid for first by what comes in.
    #[inline]
    pub fn owe(&mut self, tokens: u32) -> f64 {
        self.tokens -= f64::from(tokens);
        (-self.tokens).max(0.0)
    }

    /// Refills, then takes.
    #[inline]
    pub fn take_at(&mut self, tokens: u32, rate: &Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.take(tokens)
    }

    /// Whether the bucket remembers nothing: a new one would be the same.
    pub fn is_full(&self, rate: &Rate, now: Instant) -> bool {
        self.level(rate, now) >= rate.burst
    }

    fn level(&self, rate: &Rate, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.refilled).as_secs_f64();
        (self.tokens + passed * rate.per_second).min(rate.burst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { per_second: 5.0, burst: 20.0 };

    #[test]
    fn a_burst_is_taken_at_once_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(&RATE, start);
        assert_eq!((0..100).filter(|_| bucket.take_at(1, &RATE, start)).count(), 20);
        // Ten seconds, checked every millisecond: nothing is lost to rounding.
        let later = (1..=10_000).map(|ms| start + Duration::from_millis(ms));
        assert_eq!(later.filter(|now| bucket.take_at(1, &RATE, *now)).count(), 50);
    }

    #[test]
    fn it_never_holds_more_than_the_burst() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(&RATE, start);
        bucket.refill(&RATE, start + Duration::from_secs(3600));
        assert!(bucket.take(20) && !bucket.take(1));
    }

    #[test]
    fn too_much_at_once_takes_nothing() {
        let mut bucket = TokenBucket::full(&RATE, Instant::now());
        assert!(!bucket.take(21) && bucket.take(20));
    }

    #[test]
    fn a_clock_that_goes_back_brings_nothing() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut bucket = TokenBucket::full(&RATE, start);
        assert!(bucket.take(20));
        for _ in 0..10 {
            assert!(!bucket.take_at(1, &RATE, start - Duration::from_secs(5)));
            assert!(!bucket.take_at(1, &RATE, start));
        }
    }

    #[test]
    fn it_is_full_again_after_burst_divided_by_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(&RATE, start);
        assert!(bucket.is_full(&RATE, start) && bucket.take(20));
        assert!(!bucket.is_full(&RATE, start + Duration::from_millis(3990)));
        assert!(bucket.is_full(&RATE, start + Duration::from_secs(4)));
    }

    #[test]
    fn a_bucket_is_small() {
        assert!(size_of::<TokenBucket>() <= 24);
    }
}
