//! What a guest said before it gave up: the best explanation of a trap there is.

use std::sync::atomic::{AtomicBool, Ordering};

use duet_core::Mutex;

/// Longest explanation in bytes.
const BYTES_MAX: usize = 1024;

/// The last line that a guest wrote to stderr, or logged as an error, in the current call.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    /// Checked before every call, so that no lock is taken if nothing was said.
    is_something: AtomicBool,
    line: Mutex<String>,
}

impl LastWords {
    /// Notes a line. One that ends with a colon introduces the next; a note after it explains nothing.
    pub(crate) fn note(&self, line: &str) {
        let line = line.trim();
        if line.is_empty() || line.starts_with("note: ") {
            return;
        }
        let mut kept = self.line.lock();
        if kept.ends_with(':') {
            kept.push(' ');
        } else {
            kept.clear();
        }
        let room = BYTES_MAX.saturating_sub(kept.len());
        kept.extend(line.char_indices().take_while(|(at, c)| at + c.len_utf8() <= room).map(|(_, c)| c));
        self.is_something.store(true, Ordering::Relaxed);
    }

    /// Forgets what was said: a new call begins.
    #[inline]
    pub(crate) fn forget(&self) {
        if self.is_something.load(Ordering::Relaxed) {
            drop(self.take());
        }
    }

    /// What was said, if anything was.
    pub(crate) fn take(&self) -> Option<String> {
        self.is_something.store(false, Ordering::Relaxed);
        let line = std::mem::take(&mut *self.line.lock());
        Some(line).filter(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&str]) -> Option<String> {
        let words = LastWords::default();
        lines.iter().for_each(|line| words.note(line));
        words.take()
    }

    #[test]
    fn a_panic_of_rust_without_a_hook_is_put_together_from_its_lines() {
        let lines = ["", "thread '<unnamed>' panicked at src/lib.rs:7:9:", "no dice", "note: run with `RUST_BACKTRACE=1`"];
        assert_eq!(said(&lines).as_deref(), Some("thread '<unnamed>' panicked at src/lib.rs:7:9: no dice"));
    }

    #[test]
    fn only_the_last_line_counts_and_it_is_cut() {
        assert_eq!(said(&["first", "second"]).as_deref(), Some("second"));
        assert_eq!(said(&[&"ö".repeat(2000)]).map(|s| s.len()), Some(1024));
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn what_was_said_in_an_earlier_call_is_forgotten() {
        let words = LastWords::default();
        words.note("old");
        words.forget();
        assert_eq!(words.take(), None);
    }
}
