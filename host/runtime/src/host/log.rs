//! Log lines of plugins: escaped, cut to length, and limited by a quota.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use duet_core::Mutex;
use tracing::Level;

use crate::load::id::VersionId;

/// Longest line in bytes.
const LINE_BYTES_MAX: usize = 4096;
/// How long dropped lines are counted before the log says how many there were.
const NOTICE_AFTER: Duration = Duration::from_secs(1);

/// What a plugin may write. Errors have a quota of their own: no flood of other lines hides them.
pub(crate) struct LogQuota {
    plugin: Arc<str>,
    /// Known once it has described itself.
    version: OnceLock<VersionId>,
    per_second: f64,
    lines: Mutex<Bucket>,
    errors: Mutex<Bucket>,
    /// Lines that were dropped and not yet reported. Whoever raises it from 0 sees to it that it is.
    dropped: Arc<Mutex<u64>>,
}

/// A token bucket that holds two seconds' worth of lines.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn take(&mut self, per_second: f64, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * per_second;
        self.tokens = (self.tokens + gained).min(per_second * 2.0);
        self.filled = now;
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

impl LogQuota {
    pub(crate) fn new(plugin: &str, lines_per_second: u32) -> Self {
        let per_second = f64::from(lines_per_second);
        let bucket = || Mutex::new(Bucket { tokens: per_second * 2.0, filled: Instant::now() });
        Self { plugin: plugin.into(), version: OnceLock::new(), per_second, lines: bucket(), errors: bucket(), dropped: Arc::default() }
    }

    /// Says which version of the plugin writes.
    pub(crate) fn is_of(&self, version: VersionId) {
        drop(self.version.set(version));
    }

    /// Whether a line may be written now.
    fn take(&self, level: Level, now: Instant) -> bool {
        let bucket = if level == Level::ERROR { &self.errors } else { &self.lines };
        bucket.lock().take(self.per_second, now)
    }

    /// Counts a dropped line. The first one starts a thread that reports the count after a while, whatever the plugin does until then.
    fn drop_line(&self) {
        let mut dropped = self.dropped.lock();
        *dropped += 1;
        if *dropped > 1 {
            return;
        }
        let (plugin, count) = (Arc::clone(&self.plugin), Arc::clone(&self.dropped));
        let subscriber = tracing::dispatcher::get_default(Clone::clone);
        let told = std::thread::Builder::new().name("duet-log-notice".into()).spawn(move || {
            #[allow(clippy::disallowed_methods, reason = "a thread that does nothing else, at most one for each plugin")]
            std::thread::sleep(NOTICE_AFTER);
            tracing::dispatcher::with_default(&subscriber, || tell(&plugin, &count));
        });
        if told.is_err() {
            // The next dropped line tries again.
            *dropped = 0;
        }
    }

    /// Writes one line of a plugin. `level` is that of `log.write`. Lines that the log's level leaves out cost nothing.
    pub(crate) fn write(&self, level: u32, line: &str) {
        macro_rules! write_at {
            ($level:expr) => {
                if tracing::enabled!(target: "plugin", $level) {
                    if self.take($level, Instant::now()) {
                        let version = self.version.get();
                        let hash = version.and_then(VersionId::short_hash);
                        let version = version.map(|id| &*id.version);
                        tracing::event!(target: "plugin", $level, plugin = &*self.plugin, version, hash, "{}", escaped(line));
                    } else {
                        self.drop_line();
                    }
                }
            };
        }
        match level {
            1 => write_at!(Level::ERROR),
            2 => write_at!(Level::WARN),
            4 => write_at!(Level::DEBUG),
            5 => write_at!(Level::TRACE),
            _ => write_at!(Level::INFO),
        }
    }
}

impl Drop for LogQuota {
    fn drop(&mut self) {
        tell(&self.plugin, &self.dropped);
    }
}

fn tell(plugin: &str, dropped: &Mutex<u64>) {
    let dropped = std::mem::take(&mut *dropped.lock());
    if dropped > 0 {
        tracing::warn!(target: "plugin", plugin, dropped, "log lines above the quota were dropped; raise `log_lines_per_second` of the plugin");
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
    use duet_testkit::Kept;

    fn written(level: Level, write: impl FnOnce(&LogQuota)) -> Kept {
        let (log, kept) = Kept::new(level);
        let quota = LogQuota::new("chatty", 10);
        tracing::subscriber::with_default(log, || write(&quota));
        // Dropping it would report what the thread is to report.
        std::mem::forget(quota);
        kept
    }

    #[test]
    fn two_seconds_of_lines_pass_at_once_and_then_as_many_as_the_quota_says() {
        let quota = LogQuota::new("chatty", 10);
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| quota.take(Level::INFO, now)).count(), 20);
        assert_eq!((0..100).filter(|_| quota.take(Level::WARN, now + Duration::from_millis(150))).count(), 1);
    }

    #[test]
    fn what_is_below_the_level_of_the_log_does_not_count() {
        let kept = written(Level::INFO, |quota| {
            (0..1000).for_each(|_| quota.write(5, "trace"));
            (0..1000).for_each(|_| quota.write(4, "debug"));
            quota.write(3, "seen");
        });
        assert_eq!(kept.lines(), ["INFO message=seen plugin=\"chatty\" "]);
    }

    #[test]
    fn errors_pass_a_flood_of_other_lines_and_have_a_quota_themselves() {
        let kept = written(Level::TRACE, |quota| {
            (0..1000).for_each(|_| quota.write(3, "flood"));
            (0..1000).for_each(|_| quota.write(1, "fire"));
        });
        let count = |text: &str| kept.lines().iter().filter(|l| l.contains(text)).count();
        // On a slow machine, the buckets fill up a little in between.
        assert!((20..40).contains(&count("flood")) && (20..40).contains(&count("fire")), "{:?}", kept.lines());
    }

    #[test]
    fn a_plugin_that_falls_silent_after_a_flood_has_its_dropped_lines_told_once() {
        let kept = written(Level::INFO, |quota| (0..5000).for_each(|_| quota.write(3, "flood")));
        let told = kept.wait_for("were dropped");
        let passed = kept.lines().iter().filter(|l| l.contains("flood")).count();
        assert_eq!(told.len(), 1, "one line for all that were dropped within a second");
        assert!(told[0].starts_with("WARN") && told[0].contains(&format!("dropped={}", 5000 - passed)), "{told:?}");
    }

    #[test]
    fn what_was_dropped_last_is_told_when_the_plugin_ends() {
        let (log, kept) = Kept::new(Level::INFO);
        tracing::subscriber::with_default(log, || {
            let quota = LogQuota::new("chatty", 10);
            (0..50).for_each(|_| quota.write(3, "flood"));
        });
        assert!(kept.lines().iter().any(|l| l.contains("were dropped")), "{:?}", kept.lines());
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
