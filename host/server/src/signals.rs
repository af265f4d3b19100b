//! Signals, from the first moment of the process on: process 1 of a container gets only those that it handles, and any other process is
//! killed by those that it does not.

use std::future::pending;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::panics;

/// SIGXFSZ, which the kernel sends with the error that a file has reached its limit. The error is enough.
const FILE_LIMIT: SignalKind = SignalKind::from_raw(25);

/// What this process was asked to do.
pub(crate) struct Signals {
    stops: watch::Receiver<u32>,
    hangups: watch::Receiver<u32>,
}

impl Signals {
    /// Handles signals from now on, on a thread of its own.
    ///
    /// # Errors
    /// If the system refuses a handler or a thread.
    pub(crate) fn handle() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let mut handlers = Handlers::new()?;
        drop(entered);
        let (stop, stops) = watch::channel(0);
        let (hang_up, hangups) = watch::channel(0);
        let count = move || {
            runtime.block_on(async {
                loop {
                    match handlers.next().await {
                        Asked::Stop => stop.send_modify(|times| *times += 1),
                        Asked::HangUp => hang_up.send_modify(|times| *times += 1),
                        Asked::Nothing(name) => tracing::info!("{name} has no meaning here"),
                    }
                }
            })
        };
        panics::thread("duet-signals", count)?;
        Ok(Self { stops, hangups })
    }

    /// Waits until the process was asked to stop this often since its start.
    pub(crate) async fn stopped(&self, times: u32) {
        if self.stops.clone().wait_for(|stops| *stops >= times).await.is_err() {
            // Signals are no longer handled. That is not a signal.
            pending().await
        }
    }

    /// How often the process was asked to read its certificates again, since its start.
    pub(crate) fn hangups(&self) -> watch::Receiver<u32> {
        self.hangups.clone()
    }
}

enum Asked {
    Stop,
    HangUp,
    Nothing(&'static str),
}

struct Handlers {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hang_up: Signal,
    user_1: Signal,
    user_2: Signal,
    _file_limit: Signal,
}

impl Handlers {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
            _file_limit: signal(FILE_LIMIT)?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.quit.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::HangUp,
            _ = self.user_1.recv() => Asked::Nothing("SIGUSR1"),
            _ = self.user_2.recv() => Asked::Nothing("SIGUSR2"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn without_anybody_who_handles_signals_there_is_none() {
        let (stop, stops) = watch::channel(1);
        let signals = Signals { stops, hangups: watch::channel(0).1 };
        drop(stop);
        let is_stopped = |times| pin!(signals.stopped(times)).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(is_stopped(1), "it came before");
        assert!(!is_stopped(2));
    }
}
