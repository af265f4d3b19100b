//! How a panic is reported: in the log, without the waits and further panics of Rust's own hook. And what goes on after one.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::panic::{PanicHookInfo, set_hook};
use std::thread::Thread;

use duet_core::panic::{contained, until_done};

use crate::output;

/// Takes the place of Rust's own hook, which writes to standard error and panics if that is closed.
pub(crate) fn handle() {
    set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        for line in [text(panic)].into_iter().chain(lines(&backtrace)) {
            if tracing::dispatcher::has_been_set() {
                tracing::error!("{line}");
            } else {
                output::complain(line);
            }
        }
    }));
}

/// Does one thing of several. A panic in it is logged, and the others are still done.
pub(crate) fn survive<T>(what: &str, step: impl FnOnce() -> T) -> Option<T> {
    contained(step).inspect_err(|panic| report(what, panic)).ok()
}

/// Starts a thread that nothing may end before the process: after a panic its work is done again, with what it left behind.
///
/// # Errors
/// If the system cannot start a thread.
pub(crate) fn thread(name: &'static str, work: impl FnMut() + Send + 'static) -> io::Result<Thread> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    Ok(thread.spawn(move || until_done(work, |panic| report(name, panic)))?.thread().clone())
}

/// Saying so may panic as well, if it was the log that did.
fn report(what: &str, panic: &str) {
    drop(contained(|| tracing::error!("{what} panicked, and the server goes on: {panic}")));
}

fn text(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let said = panic.payload_as_str().unwrap_or("no message");
    format!("thread `{}` panicked{place}: {said}", thread.name().unwrap_or("without a name"))
}

/// With `RUST_BACKTRACE=1`, as with Rust's own hook.
fn lines(backtrace: &Backtrace) -> Vec<String> {
    match backtrace.status() {
        BacktraceStatus::Captured => backtrace.to_string().lines().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
