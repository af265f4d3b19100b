//! The output of a process: collected by a thread, waited for with a deadline.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use duet_core::{Condvar, Mutex};

/// Everything a process has written to one of its pipes so far.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    text: Mutex<Text>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Text {
    so_far: String,
    ended: bool,
}

impl Lines {
    /// Starts to collect.
    pub(crate) fn collect(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::default());
        let shared = Arc::clone(&lines.0);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                shared.text.lock().so_far.push_str(&String::from_utf8_lossy(&line));
                shared.changed.notify_all();
                line.clear();
            }
            shared.text.lock().ended = true;
            shared.changed.notify_all();
        });
        lines
    }

    /// The text so far.
    pub(crate) fn text(&self) -> String {
        self.0.text.lock().so_far.clone()
    }

    /// Waits for something in the text. `None` if it did not come in time or can no longer come.
    pub(crate) fn wait<T>(&self, timeout: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.wait_or_end(timeout, |text, _| find(text))
    }

    /// Waits until the pipe is closed. False if it is not closed in time.
    pub(crate) fn wait_for_end(&self, timeout: Duration) -> bool {
        self.wait_or_end(timeout, |_, ended| ended.then_some(())).is_some()
    }

    fn wait_or_end<T>(&self, timeout: Duration, find: impl Fn(&str, bool) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut text = self.0.text.lock();
        loop {
            if let Some(found) = find(&text.so_far, text.ended) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if text.ended || left.is_zero() {
                return None;
            }
            text = self.0.changed.wait_timeout(text, left);
        }
    }
}
