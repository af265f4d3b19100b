//! How a panic is reported: in the log, without the waits and further panics of Rust's own hook.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{PanicHookInfo, set_hook};

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
