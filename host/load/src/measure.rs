//! The course of every load: it warms up, is measured, and tells once a second how far it is.

use std::ops::ControlFlow;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::error::LoadError;
use super::tally::{Clock, Tally};

const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How far a run has got; reported once a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Time since the first request.
    pub elapsed: Duration,
    /// Whether this is still the warm-up.
    pub warming_up: bool,
    /// Replies per second since the last progress.
    pub rate: f64,
    /// Replies so far, the warm-up included.
    pub replies: u64,
    /// Connections that are open.
    pub open: usize,
}

/// What a load is measured by.
pub(super) struct Meter {
    pub(super) clock: Clock,
    pub(super) tally: Tally,
}

impl Meter {
    /// The clock starts here.
    pub(super) fn start() -> Self {
        Self { clock: Clock::start(), tally: Tally::new() }
    }
}

/// A load that goes round after round.
pub(super) trait Load {
    fn meter(&mut self) -> &mut Meter;

    /// Connections that are open.
    fn open(&self) -> usize;

    /// Sends what is to be sent, then waits for sockets and serves those that are ready. `Break` ends the measuring early.
    ///
    /// # Errors
    /// There is nothing left to measure.
    fn round(&mut self) -> Result<ControlFlow<()>, LoadError>;
}

/// What the measuring itself took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    /// Without the warm-up.
    pub(super) time: Duration,
    /// Processor time of this thread in it.
    pub(super) cpu: Duration,
}

/// Lets a load warm up, then measures it.
pub(super) fn measure(
    load: &mut impl Load,
    warm_up: Duration,
    duration: Duration,
    progress: impl FnMut(&Progress),
) -> Result<Measured, LoadError> {
    let warm_from = load.meter().clock.tick();
    let mut teller = Teller { told_at: warm_from, told_replies: 0, progress };
    teller.rounds_until(load, warm_from + warm_up, true)?;
    let begun = load.meter().clock.tick();
    let cpu_begun = thread_cpu_time();
    load.meter().tally.begin();
    teller.rounds_until(load, begun + duration, false)?;
    let time = load.meter().clock.tick() - begun;
    Ok(Measured { time, cpu: thread_cpu_time().saturating_sub(cpu_begun) })
}

/// What was told last, and to whom.
struct Teller<P> {
    told_at: Duration,
    told_replies: u64,
    progress: P,
}

impl<P: FnMut(&Progress)> Teller<P> {
    fn rounds_until(&mut self, load: &mut impl Load, end: Duration, warming_up: bool) -> Result<(), LoadError> {
        while load.meter().clock.now() < end && load.round()?.is_continue() {
            self.tell(load, warming_up);
        }
        Ok(())
    }

    /// Tells how far it is, if that is due.
    fn tell(&mut self, load: &mut impl Load, warming_up: bool) {
        let now = load.meter().clock.now();
        let since_told = now.saturating_sub(self.told_at);
        if since_told < PROGRESS_INTERVAL {
            return;
        }
        let (replies, open) = (load.meter().tally.replies_all(), load.open());
        let rate = (replies - self.told_replies) as f64 / since_told.as_secs_f64();
        (self.told_at, self.told_replies) = (now, replies);
        (self.progress)(&Progress { elapsed: now, warming_up, rate, replies, open });
    }
}

/// Processor time of this thread.
fn thread_cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
