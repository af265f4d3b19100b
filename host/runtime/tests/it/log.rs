//! The warnings of this process, as an operator would read them.

use std::fmt::Debug;
use std::sync::{Condvar, Mutex, Once};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static MORE: Condvar = Condvar::new();

/// For every thread of the process, because workers write to it.
struct Log;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        LINES.lock().unwrap().push(line.0);
        MORE.notify_all();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Keeps lines from now on. Called before what writes them.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
}

/// Waits for lines with this text, which no other test writes, and returns them.
pub(crate) fn wait_for(text: &str) -> Vec<String> {
    let with = |lines: &Vec<String>| lines.iter().filter(|line| line.contains(text)).cloned().collect::<Vec<_>>();
    let lines = MORE.wait_timeout_while(LINES.lock().unwrap(), Duration::from_secs(30), |lines| with(lines).is_empty()).unwrap().0;
    let found = with(&lines);
    assert!(!found.is_empty(), "no line with {text:?}: {lines:?}");
    found
}
