//! What goes on after a panic.

use std::io;
use std::thread::Thread;

use duet_core::panic::{contained, until_done};

/// Does one thing of several. A panic in it is logged, and the others are done.
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
