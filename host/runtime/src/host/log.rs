//! Log lines of plugins: escaped, cut, and no more of them than the quota.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Longest line in bytes.
const LINE_BYTES_MAX: usize = 4096;

/// A token bucket that holds two seconds' worth of lines.
#[derive(Debug)]
pub(crate) struct LogQuota {
    per_second: f64,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
    dropped: u64,
}

impl LogQuota {
    pub(crate) fn new(lines_per_second: u32) -> Self {
        let per_second = f64::from(lines_per_second);
        Self { per_second, bucket: Mutex::new(Bucket { tokens: per_second * 2.0, filled: Instant::now(), dropped: 0 }) }
    }

    /// Whether a line may be written now, and how many were dropped since the last one.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(bucket.filled).as_secs_f64() * self.per_second;
        bucket.tokens = (bucket.tokens + gained).min(self.per_second * 2.0);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            bucket.dropped += 1;
            return None;
        }
        bucket.tokens -= 1.0;
        Some(std::mem::take(&mut bucket.dropped))
    }

    /// Writes one line of a plugin. `level` is that of `log.write`.
    pub(crate) fn write(&self, plugin: &str, level: u32, line: &str) {
        let Some(dropped) = self.take(Instant::now()) else { return };
        if dropped > 0 {
            tracing::warn!(target: "plugin", plugin, dropped, "log lines above the quota were dropped");
        }
        let line = escaped(line);
        match level {
            1 => tracing::error!(target: "plugin", plugin, "{line}"),
            2 => tracing::warn!(target: "plugin", plugin, "{line}"),
            4 => tracing::debug!(target: "plugin", plugin, "{line}"),
            5 => tracing::trace!(target: "plugin", plugin, "{line}"),
            _ => tracing::info!(target: "plugin", plugin, "{line}"),
        }
    }
}

/// Text that a file or a guest had a hand in, as one line for the log.
pub(crate) fn one_line(text: &str) -> String {
    escaped(&text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" "))
}

/// Control characters would let a guest forge lines or drive the operator's terminal.
fn escaped(line: &str) -> String {
    let mut out = String::with_capacity(line.len().min(LINE_BYTES_MAX));
    for c in line.chars() {
        if out.len() >= LINE_BYTES_MAX {
            out.push('…');
            break;
        }
        if c.is_control() && c != '\t' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lines_above_the_quota_are_dropped_and_counted() {
        let quota = LogQuota::new(10);
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| quota.take(now).is_some()).count(), 20);
        assert_eq!(quota.take(now + Duration::from_millis(150)), Some(80));
        assert_eq!(quota.take(now + Duration::from_millis(150)), None);
    }

    #[test]
    fn text_of_many_lines_becomes_one() {
        assert_eq!(one_line("trap at:\n    0: a!b\r\n\n    1: \u{1b}[31mc\n"), "trap at: 0: a!b 1: \\u{1b}[31mc");
    }

    #[test]
    fn control_characters_are_escaped_and_long_lines_cut() {
        assert_eq!(escaped("a\n\u{1b}[31mb\tc"), "a\\n\\u{1b}[31mb\tc");
        let long = escaped(&"x".repeat(10_000));
        assert!(long.len() < LINE_BYTES_MAX + 8 && long.ends_with('…'));
    }
}
