//! The wasmtime engine that all plugins of a process share, and the clock of its budgets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use duet_core::STALLED;
use tokio::runtime::{Builder, Handle};
use tokio::time::MissedTickBehavior;
use wasmtime::{Config, Engine};

use crate::panic;

/// Length of a tick; at each, a running call is checked. A call overruns its budget by two ticks at most: the one in which it begins is not
/// counted, and it is ended only when the next one strikes.
pub(crate) const TICK: Duration = Duration::from_millis(5);
/// Stack of an instance: half of a thread's. An interpreter needs much of it: JavaScript on QuickJS gets some 1,500 frames out of this.
pub(crate) const STACK_BYTES: usize = 1 << 20;

/// Builds the engine. The same settings are used by the child that compiles; wasmtime refuses code that was built with others.
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // Bookkeeping of component-model async costs 2 to 4 times a plain call, and no world needs it.
    config.concurrency_support(false);
    config.max_wasm_stack(STACK_BYTES);
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20));
    Engine::new(&config)
}

/// How many ticks a time takes, rounded up.
pub(crate) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX)
}

/// How long the process has run. It stands still while the process does: a stopped server takes no time from what waits in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uptime(Arc<AtomicU64>);

impl Uptime {
    /// Up to the last tick.
    pub(crate) fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// So much time has gone by since the last tick. Of what is much too long the process can have seen no more than the beginning.
    fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.min(STALLED).as_nanos()).unwrap_or_default(), Ordering::Relaxed);
    }
}

/// The thread that ticks, and wakes instances when their naps end. It never calls one itself, because a busy plugin must not be able to
/// stop it.
#[derive(Debug)]
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    timers: Handle,
    uptime: Uptime,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let timers = runtime.handle().clone();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let uptime = Uptime::default();
        let passing = uptime.clone();
        let thread = panic::thread("duet-ticker".to_owned(), move || {
            runtime.block_on(async {
                let mut ticks = tokio::time::interval(TICK);
                // After the process was stopped, the missed ticks must not come all at once and end calls.
                ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
                let mut last = Instant::now();
                while !stopped.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    engine.increment_epoch();
                    let now = Instant::now();
                    passing.pass(now - std::mem::replace(&mut last, now));
                }
            });
        })?;
        Ok(Self { stop, timers, uptime, thread: Some(thread) })
    }

    /// What it counts.
    pub(crate) const fn uptime(&self) -> &Uptime {
        &self.uptime
    }

    /// The timers that naps wait on.
    pub(crate) const fn timers(&self) -> &Handle {
        &self.timers
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_stood_still_for_an_hour_is_hardly_older() {
        let uptime = Uptime::default();
        for time in [TICK, 3600 * Duration::from_secs(1), TICK] {
            uptime.pass(time);
        }
        assert_eq!(uptime.now(), 2 * TICK + STALLED);
    }
}
