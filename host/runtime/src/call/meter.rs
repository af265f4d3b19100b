//! Counts what a call uses of its budget: the processor time of its own thread, read when a tick strikes.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;

use crate::call::engine::ticks;

/// How many times its budget a call may take by the wall clock, in case the machine gives its thread too little CPU time.
pub(crate) const WALL_FACTOR: u32 = 10;

thread_local! {
    /// What this thread's CPU clock would have shown when the running call began, had the thread run nothing else since. `None` until it is
    /// first read: most calls end before that, and reading the clock costs as much as a tenth of a call.
    static BEGAN: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Processor time of this thread so far.
pub(crate) fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// What a call has left of its time.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    budget: Duration,
    /// Wall-clock time left, in ticks; counted from the first check on. Ticks stop when the process does, so a stopped or frozen server
    /// costs a call nothing.
    ticks: Option<u64>,
    starved: bool,
}

impl Meter {
    /// For a call that begins. It is first checked at the next tick; what it used until then, less than a tick, is not counted.
    pub(crate) fn new(budget: Duration) -> Self {
        BEGAN.set(None);
        Self { budget, ticks: None, starved: false }
    }

    /// What is left of the budget; `None` if that is nothing.
    pub(crate) fn left(&self) -> Option<Duration> {
        let now = thread_time();
        let began = BEGAN.get().unwrap_or(now);
        BEGAN.set(Some(began));
        self.budget.checked_sub(now.saturating_sub(began)).filter(|left| !left.is_zero())
    }

    /// For how many ticks a call that does not wait may go on before it is checked again; `None` ends it.
    pub(crate) fn strike(&mut self) -> Option<u64> {
        let on_the_clock = self.ticks.unwrap_or_else(|| ticks(self.budget.saturating_mul(WALL_FACTOR)));
        let next = ticks(self.left()?).min(on_the_clock);
        self.ticks = Some(on_the_clock - next);
        self.starved = next == 0;
        (next > 0).then_some(next)
    }

    /// Whether the wall clock ended the call, rather than its own use of the processor.
    pub(crate) fn starved(&self) -> bool {
        self.starved
    }
}

/// Waits for a call that shares its thread with others, and counts only the time in which it runs itself. The thread's clock goes on while
/// others run, so the beginning is moved up to it at each poll.
pub(crate) async fn alone<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut used = Duration::ZERO;
    poll_fn(|cx| {
        let began = thread_time().saturating_sub(used);
        BEGAN.set(Some(began));
        let poll = call.as_mut().poll(cx);
        used = thread_time().saturating_sub(began);
        poll
    })
    .await
}

/// Into how many parts a wait is cut.
const PARTS: u32 = 10;

/// Waits at most this long for a call, which uses `timers` for its naps; `None` if it does not end. The wait is counted in parts, and each
/// counts once however late its end is noticed: a process that was stopped costs a call one part, not all of them.
pub(crate) async fn within<T>(timers: &Handle, wait: Duration, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    let mut parts = pin!(async {
        for _ in 0..PARTS {
            if let Ok(done) = tokio::time::timeout(wait / PARTS, &mut call).await {
                return Some(done);
            }
        }
        None
    });
    poll_fn(|cx| {
        let _timers = timers.enter();
        parts.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use super::*;
    use crate::call::engine::TICK;

    #[test]
    fn a_call_that_gets_nothing_of_the_processor_is_ended_after_ten_times_its_budget() {
        let mut meter = Meter::new(100 * TICK);
        let mut granted = 0;
        while let Some(ticks) = meter.strike() {
            granted += ticks;
        }
        assert!(meter.starved());
        assert_eq!(granted, 1000);
    }

    #[test]
    fn a_process_that_stood_still_for_longer_than_a_call_may_wait_does_not_end_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let wait = Duration::from_secs(1);
        let call = async move {
            // As if it had been stopped: nothing runs, but the clock goes on.
            std::thread::park_timeout(wait + wait / 10);
            tokio::time::sleep(wait / 100).await;
            tokio::time::sleep(wait / 100).await;
        };
        let within = |wait, call: Pin<Box<dyn Future<Output = ()>>>| runtime.block_on(within(runtime.handle(), wait, call));
        assert_eq!(within(wait, Box::pin(call)), Some(()));
        assert_eq!(within(wait / 100, Box::pin(std::future::pending())), None);
    }

    #[test]
    fn a_call_that_uses_its_budget_up_is_ended() {
        let mut meter = Meter::new(2 * TICK);
        assert_eq!(meter.strike(), Some(2), "what was before the first look does not count");
        let begun = thread_time();
        while thread_time() - begun < 2 * TICK {
            std::hint::spin_loop();
        }
        assert_eq!(meter.strike(), None);
        assert!(!meter.starved());
    }

    #[test]
    fn a_call_that_has_neither_budget_nor_ticks_left_has_used_its_budget_up() {
        let mut meter = Meter { ticks: Some(2), ..Meter::new(2 * TICK) };
        assert_eq!(meter.strike(), Some(2), "that is all there is on the clock");
        let begun = thread_time();
        while thread_time() - begun < 2 * TICK {
            std::hint::spin_loop();
        }
        assert_eq!(meter.strike(), None);
        assert!(!meter.starved());
    }
}
