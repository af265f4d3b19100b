//! Standard error that nobody waits for: lines go into a bounded buffer, and a thread of its own writes them.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use duet_core::{Condvar, Mutex};

use crate::panics;

/// Bytes that wait to be written, enough for a second of a busy log. What does not fit is dropped and counted.
const BYTES_MAX: usize = 1 << 20;
/// How long until the next try after standard error refused a write: a full disk may be emptied, a pipe may get another reader.
const RETRY: Duration = Duration::from_millis(100);

/// A stream behind a buffer.
pub(crate) struct Outlet {
    shared: Arc<Shared>,
    /// The thread that writes; without one, whoever has a line does.
    writer: Option<ThreadId>,
}

#[derive(Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

#[derive(Default)]
struct Buffer {
    waiting: Vec<u8>,
    /// Lines that did not fit since the last were taken.
    dropped: u64,
    /// Something was taken and is not written yet.
    writing: bool,
    /// The last try to write failed.
    failing: bool,
}

/// Standard error of this process.
pub(crate) fn stderr() -> &'static Outlet {
    STDERR.get_or_init(|| {
        Outlet::start(io::stderr(), |dropped| {
            tracing::warn!(dropped, "log lines were dropped: standard error did not take them in time");
        })
    })
}

/// Waits until all of standard error is written, at most this long, and not at all if it cannot be written.
pub(crate) fn flush(patience: Duration) {
    if let Some(stderr) = STDERR.get() {
        stderr.flush(patience);
    }
}

static STDERR: OnceLock<Outlet> = OnceLock::new();

impl Outlet {
    /// `notice` is called on the writing thread with the number of lines that were dropped; what it adds is accepted in any case.
    fn start(mut to: impl Write + Send + 'static, notice: impl Fn(u64) + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let writing = Arc::clone(&shared);
        let thread = panics::thread("duet-stderr", move || writing.write_all(&mut to, &notice));
        Self { shared, writer: thread.ok().map(|thread| thread.id()) }
    }

    /// Adds whole lines. Never waits for whoever reads them.
    pub(crate) fn add(&self, lines: &[u8]) {
        let Some(writer) = self.writer else {
            drop(io::stderr().write_all(lines));
            return;
        };
        let mut buffer = self.shared.buffer.lock();
        if buffer.waiting.len() + lines.len() > BYTES_MAX && thread::current().id() != writer {
            buffer.dropped += 1;
            return;
        }
        let was_empty = buffer.waiting.is_empty();
        buffer.waiting.extend_from_slice(lines);
        drop(buffer);
        if was_empty {
            self.shared.changed.notify_all();
        }
    }

    fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut buffer = self.shared.buffer.lock();
        while self.writer.is_some() && (buffer.writing || !buffer.waiting.is_empty()) && !buffer.failing {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            buffer = self.shared.changed.wait_timeout(buffer, left);
        }
    }
}

impl Shared {
    /// Writes whatever comes. Never ends.
    fn write_all(&self, to: &mut impl Write, notice: &impl Fn(u64)) {
        let mut batch = Vec::new();
        loop {
            let dropped = self.take(&mut batch);
            // The buffer is empty now, so the notice stands where the lines are missing: after this batch.
            if dropped > 0 {
                notice(dropped);
            }
            self.write(to, &batch);
        }
    }

    /// Waits for lines. Returns how many more did not fit.
    fn take(&self, batch: &mut Vec<u8>) -> u64 {
        batch.clear();
        let mut buffer = self.buffer.lock();
        buffer.writing = false;
        self.changed.notify_all();
        while buffer.waiting.is_empty() {
            buffer = self.changed.wait(buffer);
        }
        std::mem::swap(&mut buffer.waiting, batch);
        buffer.writing = true;
        std::mem::take(&mut buffer.dropped)
    }

    /// Tries until all of it is written.
    fn write(&self, to: &mut impl Write, batch: &[u8]) {
        let mut rest = batch;
        while !rest.is_empty() {
            let written = to.write(rest);
            let failing = !matches!(&written, Ok(bytes) if *bytes > 0);
            rest = rest.get(written.unwrap_or(0)..).unwrap_or_default();
            let mut buffer = self.buffer.lock();
            if failing != buffer.failing {
                buffer.failing = failing;
                self.changed.notify_all();
            }
            drop(buffer);
            if failing {
                thread::park_timeout(RETRY);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// What a write is told so that it panics.
    const PANIC: usize = 0;

    /// Takes what it is told to: each write waits for a number, and takes as many bytes or fails.
    struct Told {
        may: Receiver<Option<usize>>,
        took: SyncSender<Vec<u8>>,
    }

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let may = self.may.recv().map_err(io::Error::other)?.ok_or(io::ErrorKind::StorageFull)?;
            assert!(may != PANIC, "injected into writing");
            let taken = &bytes[..may.min(bytes.len())];
            self.took.send(taken.to_vec()).map_err(io::Error::other)?;
            Ok(taken.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn outlet() -> (Arc<Outlet>, SyncSender<Option<usize>>, Receiver<Vec<u8>>) {
        let ((tell, may), (took, taken)) = (sync_channel(9), sync_channel(9));
        let own = Arc::new(OnceLock::<Arc<Outlet>>::new());
        let of_notice = Arc::clone(&own);
        let notice = move |dropped| of_notice.wait().add(format!("{dropped} dropped\n").as_bytes());
        let outlet = Arc::new(Outlet::start(Told { may, took }, notice));
        assert!(own.set(Arc::clone(&outlet)).is_ok());
        (outlet, tell, taken)
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_does_not_fit_is_counted_and_told_in_its_place() {
        let (outlet, tell, taken) = outlet();
        outlet.add(b"first\n");
        let line = [b'x'; 1 << 10];
        // The first line is with the writer, or still here with the others.
        for _ in 0..3 << 10 {
            outlet.add(&line);
        }
        assert!(outlet.shared.buffer.lock().waiting.len() <= BYTES_MAX);
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).contains(" dropped\n") {
            tell.send(Some(usize::MAX)).unwrap();
            text.extend(taken.recv_timeout(PATIENCE).unwrap());
        }
        let (lines, notice) = text.split_at(text.iter().rposition(|byte| *byte == b'x').unwrap() + 1);
        let kept = (lines.len() - b"first\n".len()) / line.len();
        assert_eq!(String::from_utf8_lossy(notice), format!("{} dropped\n", (3 << 10) - kept));
        assert!((1_000..2_100).contains(&kept), "{kept}");
    }

    #[test]
    fn a_panic_of_the_thread_that_writes_does_not_silence_it() {
        let (outlet, tell, taken) = outlet();
        outlet.add(b"lost\n");
        tell.send(Some(PANIC)).unwrap();
        while !outlet.shared.buffer.lock().waiting.is_empty() {
            thread::yield_now();
        }
        outlet.add(b"kept\n");
        tell.send(Some(100)).unwrap();
        assert_eq!(taken.recv_timeout(PATIENCE).unwrap(), b"kept\n");
    }

    #[test]
    fn what_was_refused_is_written_later_without_a_gap() {
        let (outlet, tell, taken) = outlet();
        outlet.add(b"one line\n");
        for may in [Some(4), None, None, Some(100)] {
            tell.send(may).unwrap();
        }
        let text = [taken.recv_timeout(PATIENCE).unwrap(), taken.recv_timeout(PATIENCE).unwrap()].concat();
        assert_eq!(String::from_utf8(text).unwrap(), "one line\n");
    }

    #[test]
    fn flushing_waits_for_what_is_written_and_not_for_what_cannot_be() {
        let (outlet, tell, taken) = outlet();
        outlet.flush(PATIENCE);
        outlet.add(b"a\n");
        tell.send(Some(100)).unwrap();
        outlet.flush(PATIENCE);
        assert_eq!(taken.try_recv().unwrap(), b"a\n");
        outlet.add(b"b\n");
        let begun = Instant::now();
        outlet.flush(Duration::from_millis(20));
        assert!(begun.elapsed() < PATIENCE, "nobody reads");
        tell.send(None).unwrap();
        outlet.flush(PATIENCE);
        assert!(begun.elapsed() < PATIENCE, "it cannot be written");
    }
}
