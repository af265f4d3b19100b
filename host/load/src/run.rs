//! The loop of a load run: one thread waits for sockets and serves each that is ready.

use std::time::Duration;

use mio::{Events, Poll, Token};
use rustix::time::{ClockId, clock_gettime};

use super::connection::{Connection, Input};
use super::dial::Dial;
use super::frames::Frames;
use super::inlet::End;
use super::line::Line;
use super::report::Subject;
use super::tally::{Clock, Tally};
use super::{LoadError, LoadOptions, LoadReport, Progress};

/// Sockets the kernel reports at once.
const EVENTS: usize = 1_024;
/// The longest wait for a socket, and so how exactly a run ends when nothing comes.
const WAIT_MAX: Duration = Duration::from_millis(10);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// A run in progress.
pub(super) struct Run<L, P> {
    poll: Poll,
    events: Events,
    connections: Vec<Connection<L>>,
    open: usize,
    last_end: Option<End>,
    frames: Frames,
    input: Input,
    tally: Tally,
    clock: Clock,
    told_at: Duration,
    told_replies: u64,
    progress: P,
}

impl<L: Line, P: FnMut(&Progress)> Run<L, P> {
    /// Opens all connections.
    pub(super) fn open(options: &LoadOptions, mut dialler: impl Dial<Line = L>, frames: Frames, progress: P) -> Result<Self, LoadError> {
        let poll = Poll::new().map_err(LoadError::Poll)?;
        let mut connections = Vec::with_capacity(options.connections);
        for index in 0..options.connections {
            let dial_error = |source| LoadError::Dial { number: index + 1, endpoint: options.endpoint.clone(), source };
            let dialled = dialler.dial().map_err(dial_error)?;
            connections.push(Connection::new(dialled, poll.registry(), Token(index), &frames, options.window).map_err(dial_error)?);
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            open: connections.len(),
            connections,
            last_end: None,
            frames,
            input: Input::new(options),
            tally: Tally::new(),
            clock: Clock::start(),
            told_at: Duration::ZERO,
            told_replies: 0,
            progress,
        })
    }

    /// Warms up, measures, drains.
    pub(super) fn go(mut self, options: &LoadOptions) -> Result<LoadReport, LoadError> {
        for connection in &mut self.connections {
            let filled = connection.fill(&mut self.frames, &self.clock, &mut self.tally);
            if let Err(end) = filled {
                self.open -= connection.shut(self.poll.registry());
                self.last_end = Some(end);
            }
        }
        self.turn_until(options.warm_up, true)?;
        let begun = self.clock.tick();
        let cpu_begun = thread_cpu_time();
        self.tally.begin();
        self.turn_until(begun + options.duration, false)?;
        let measured = self.clock.tick() - begun;
        let cpu = thread_cpu_time().saturating_sub(cpu_begun);
        let mut report = LoadReport::new(Subject::of(options), &self.tally, measured, cpu);

        self.connections.iter_mut().for_each(Connection::stop);
        let deadline = self.clock.now() + options.drain;
        while self.open > 0 && self.clock.now() < deadline && self.connections.iter().any(Connection::is_waiting) {
            self.turn()?;
        }
        report.complete(&self.tally, self.connections.len() - self.open, self.connections.iter().map(Connection::unanswered).sum());
        Ok(report)
    }

    fn turn_until(&mut self, end: Duration, warming_up: bool) -> Result<(), LoadError> {
        while self.clock.now() < end {
            if self.open == 0 {
                return Err(LoadError::AllEnded(self.last_end.take().map(|end| end.to_string()).unwrap_or_default()));
            }
            self.turn()?;
            let since_told = self.clock.now().saturating_sub(self.told_at);
            if since_told >= PROGRESS_INTERVAL {
                self.tell(since_told, warming_up);
            }
        }
        Ok(())
    }

    /// Waits for sockets and serves each that is ready.
    fn turn(&mut self) -> Result<(), LoadError> {
        let wait = if L::HAS_TIMERS { self.tend() } else { WAIT_MAX };
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(LoadError::Poll(error)),
            _ => {}
        }
        if self.events.is_empty() {
            self.clock.tick();
        }
        for event in &self.events {
            let Some(connection) = self.connections.get_mut(event.token().0) else { continue };
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            let served = if readable { connection.drain(&mut self.input, &mut self.clock, &mut self.tally) } else { Ok(()) };
            if let Err(end) = served.and_then(|()| connection.fill(&mut self.frames, &self.clock, &mut self.tally)) {
                self.open -= connection.shut(self.poll.registry());
                self.last_end = Some(end);
            }
        }
        Ok(())
    }

    /// Does what is due. Returns how long nothing more will be.
    fn tend(&mut self) -> Duration {
        let mut wait = WAIT_MAX;
        for connection in &mut self.connections {
            match connection.tend() {
                Ok(next) => wait = wait.min(next.unwrap_or(WAIT_MAX)),
                Err(end) => {
                    self.open -= connection.shut(self.poll.registry());
                    self.last_end = Some(end);
                }
            }
        }
        wait
    }

    fn tell(&mut self, since_told: Duration, warming_up: bool) {
        let replies = self.tally.replies_all();
        let rate = (replies - self.told_replies) as f64 / since_told.as_secs_f64();
        self.told_at = self.clock.now();
        self.told_replies = replies;
        (self.progress)(&Progress { elapsed: self.told_at, warming_up, rate, replies, open: self.open });
    }
}

/// Processor time of this thread.
pub(super) fn thread_cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
