//! What a run counts, and the clock it counts by.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Longer latencies are counted as this: a minute, in microseconds.
const LATENCY_MAX: u64 = 60_000_000;
/// Three digits: percentiles are exact to 0.1 %.
const LATENCY_DIGITS: u8 = 3;

/// Time since the start of a run, read once for everything that came in together.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    now: Duration,
    micros: u32,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), now: Duration::ZERO, micros: 0 }
    }

    /// Reads the system's clock.
    pub(super) fn tick(&mut self) -> Duration {
        self.now = self.start.elapsed();
        self.micros = self.now.as_micros() as u32;
        self.now
    }

    /// The time of the last [`tick`](Self::tick).
    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// The same in microseconds. It wraps after 71 minutes, which does not matter to shorter differences.
    pub(super) fn micros(&self) -> u32 {
        self.micros
    }
}

/// The counters of a run. Mistakes are counted from the first request on, everything else in the measured time.
pub(super) struct Tally {
    measuring: bool,
    replies_before: u64,
    pub(super) replies: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) pushes: u64,
    pub(super) reordered: u64,
    pub(super) bad: u64,
    pub(super) first_bad: Option<String>,
    pub(super) errors: BTreeMap<u16, u64>,
    latencies: Option<Histogram<u64>>,
    run_latency: u32,
    run_length: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            measuring: false,
            replies_before: 0,
            replies: 0,
            bytes_in: 0,
            bytes_out: 0,
            pushes: 0,
            reordered: 0,
            bad: 0,
            first_bad: None,
            errors: BTreeMap::new(),
            // The bounds are constants that the histogram accepts.
            latencies: Histogram::new_with_max(LATENCY_MAX, LATENCY_DIGITS).ok(),
            run_latency: 0,
            run_length: 0,
        }
    }

    /// Ends the warm-up.
    pub(super) fn begin(&mut self) {
        self.measuring = true;
        self.replies_before += self.replies;
        self.replies = 0;
        self.bytes_in = 0;
        self.bytes_out = 0;
    }

    /// Replies since the start, the warm-up included.
    pub(super) fn replies_all(&self) -> u64 {
        self.replies_before + self.replies
    }

    /// Notes an answer. Answers of one batch mostly have the same latency, so equal ones are put into the histogram together.
    #[inline]
    pub(super) fn answered(&mut self, latency: u32) {
        self.replies += 1;
        if latency == self.run_latency {
            self.run_length += 1;
            return;
        }
        self.flush();
        self.run_latency = latency;
        self.run_length = 1;
    }

    /// Notes the answers whose latency was held back.
    pub(super) fn flush(&mut self) {
        if self.measuring
            && let Some(latencies) = &mut self.latencies
        {
            // Saturating never fails.
            latencies.saturating_record_n(u64::from(self.run_latency), self.run_length);
        }
        self.run_length = 0;
    }

    /// Notes a packet that is not the answer to anything; the first one is kept in words.
    #[cold]
    pub(super) fn bad(&mut self, what: fmt::Arguments<'_>) {
        self.bad += 1;
        self.first_bad.get_or_insert_with(|| what.to_string());
    }

    /// The latency that a part `quantile` (0 to 1) of the answers did not exceed.
    pub(super) fn latency(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latencies.as_ref().map_or(0, |latencies| latencies.value_at_quantile(quantile)))
    }

    /// The longest latency.
    pub(super) fn latency_max(&self) -> Duration {
        Duration::from_micros(self.latencies.as_ref().map_or(0, Histogram::max))
    }
}
