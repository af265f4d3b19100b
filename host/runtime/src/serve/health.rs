//! Counts the faults of a plugin and decides when it is out of service.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use duet_core::Mutex;

use crate::options::PluginOptions;

/// Longest time out of service.
const QUARANTINE_MAX: Duration = Duration::from_secs(60);

/// Health of one plugin, shared by its instances.
#[derive(Debug)]
pub(crate) struct Health {
    rules: Rules,
    /// Read for every batch; `log` below is only locked when this says so.
    quarantined: AtomicBool,
    log: Mutex<FaultLog>,
    faults: AtomicU64,
}

#[derive(Debug)]
struct Rules {
    faults_max: u32,
    window: Duration,
    first: Duration,
}

#[derive(Debug, Default)]
struct FaultLog {
    window_start: Option<Instant>,
    in_window: u32,
    in_a_row: u32,
    until: Option<Instant>,
}

impl Health {
    pub(crate) fn new(options: &PluginOptions) -> Self {
        Self {
            rules: Rules { faults_max: options.faults_max, window: options.faults_window, first: options.quarantine },
            quarantined: AtomicBool::new(false),
            log: Mutex::default(),
            faults: AtomicU64::new(0),
        }
    }

    /// Faults since the plugin was loaded.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Whether requests are to be answered `unavailable` now.
    #[inline]
    pub(crate) fn is_quarantined(&self, now: impl FnOnce() -> Instant) -> bool {
        if !self.quarantined.load(Ordering::Relaxed) {
            return false;
        }
        let log = self.log.lock();
        let over = log.until.is_none_or(|until| now() >= until);
        if over {
            self.quarantined.store(false, Ordering::Relaxed);
        }
        !over
    }

    /// Notes a fault. Returns the time out of service if it was one too many.
    pub(crate) fn fault(&self, now: Instant) -> Option<Duration> {
        self.faults.fetch_add(1, Ordering::Relaxed);
        let mut log = self.log.lock();
        if log.until.is_some_and(|until| now > until + self.rules.window) {
            log.in_a_row = 0;
        }
        if log.window_start.is_none_or(|start| now.duration_since(start) > self.rules.window) {
            log.window_start = Some(now);
            log.in_window = 0;
        }
        log.in_window += 1;
        if log.in_window < self.rules.faults_max {
            return None;
        }
        let time = self.rules.first.saturating_mul(1 << log.in_a_row.min(16)).min(QUARANTINE_MAX);
        log.in_a_row += 1;
        log.window_start = None;
        log.until = Some(now + time);
        self.quarantined.store(true, Ordering::Relaxed);
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> (Health, Instant) {
        (Health::new(&PluginOptions::default()), Instant::now())
    }

    #[test]
    fn the_third_fault_within_the_window_puts_a_plugin_out_of_service_for_a_while() {
        let (health, t) = health();
        assert_eq!(health.fault(t), None);
        assert_eq!(health.fault(t), None);
        assert_eq!(health.fault(t), Some(Duration::from_secs(1)));
        assert!(health.is_quarantined(|| t + Duration::from_millis(999)));
        assert!(!health.is_quarantined(|| t + Duration::from_secs(1)));
        assert!(!health.is_quarantined(|| t), "it is read once and then cheap");
    }

    #[test]
    fn faults_far_apart_do_no_harm() {
        let (health, t) = health();
        for i in 0..10 {
            assert_eq!(health.fault(t + Duration::from_secs(i * 6)), None);
        }
    }

    #[test]
    fn the_time_doubles_up_to_a_minute_and_is_forgotten_after_a_quiet_window() {
        let (health, mut t) = health();
        let mut times = Vec::new();
        for _ in 0..8 {
            let time = (0..3).filter_map(|_| health.fault(t)).next_back().expect("third fault");
            times.push(time.as_secs());
            t += time;
        }
        assert_eq!(times, [1, 2, 4, 8, 16, 32, 60, 60]);
        t += Duration::from_secs(11);
        assert_eq!((0..3).filter_map(|_| health.fault(t)).next_back(), Some(Duration::from_secs(1)));
    }
}
