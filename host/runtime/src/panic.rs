//! What is done about a panic: it ends what panicked and nothing else.

use std::io;
use std::thread::JoinHandle;

pub(crate) use duet_core::panic::{contained, contained_async};

/// Logs a panic that cannot be put down to a plugin. Logging it may panic too, if it was the log that panicked.
pub(crate) fn report(whose: &str, panic: &str) {
    drop(contained(|| tracing::error!("{whose} panicked and goes on: {panic}")));
}

/// Starts a thread that outlives a panic of its `body`: it is run again, with what it left behind, until it returns.
pub(crate) fn thread(name: String, body: impl FnMut() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.clone()).spawn(move || duet_core::panic::until_done(body, |panic| report(&name, panic)))
}
