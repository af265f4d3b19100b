//! The log of the process that a test runs in.

use std::fmt::{self, Debug, Write};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use duet_core::{Condvar, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// No line may take longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

/// A subscriber that hands each line at or above a level to a function: `WARN message=it ends conn=7 `, with a space behind each value.
/// A function that panics is a log that panics.
pub struct Log<F> {
    level: Level,
    take: F,
}

impl<F: Fn(String)> Log<F> {
    /// A log of this level and those above it.
    pub fn new(level: Level, take: F) -> Self {
        Self { level, take }
    }
}

impl<F> Debug for Log<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("level", &self.level).finish_non_exhaustive()
    }
}

impl<F: Fn(String) + Send + Sync + 'static> Subscriber for Log<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} ", event.metadata().level()));
        event.record(&mut line);
        (self.take)(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").expect("a text can be written to");
    }
}

/// The lines of a log so far.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Kept {
    /// A log for one thread, and its lines.
    pub fn new(level: Level) -> (impl Subscriber + Send + Sync, Self) {
        let kept = Self::default();
        let lines = kept.clone();
        let log = Log::new(level, move |line| {
            lines.0.0.lock().push(line);
            lines.0.1.notify_all();
        });
        (log, kept)
    }

    /// The warnings and errors of all threads, from the first time on that this is called. Called before what writes them.
    ///
    /// # Panics
    /// If the process has another log.
    pub fn of_process() -> &'static Self {
        static KEPT: OnceLock<Kept> = OnceLock::new();
        KEPT.get_or_init(|| {
            let (log, kept) = Self::new(Level::WARN);
            tracing::subscriber::set_global_default(log).expect("the only log");
            kept
        })
    }

    /// All lines.
    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().clone()
    }

    /// Waits for a line with this text, and returns all that have it then.
    ///
    /// # Panics
    /// If none comes.
    pub fn wait_for(&self, text: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.0.0.lock();
        loop {
            let found: Vec<String> = lines.iter().filter(|line| line.contains(text)).cloned().collect();
            let left = deadline.saturating_duration_since(Instant::now());
            if !found.is_empty() {
                return found;
            }
            assert!(!left.is_zero(), "no line with {text:?}: {lines:?}");
            lines = self.0.1.wait_timeout(lines, left);
        }
    }
}
