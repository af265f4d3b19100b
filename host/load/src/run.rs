//! The loop of a load run: one thread waits for sockets and serves each that is ready.

use std::ops::ControlFlow;
use std::time::Duration;

use duet_client::Transport;
use mio::Token;

use super::connection::{Connection, Input};
use super::dial::{Dial, Dialler, KcpDialler, need_plain};
use super::end::End;
use super::error::LoadError;
use super::frames::Frames;
use super::line::Line;
use super::measure::{Load, Meter, Progress, measure};
use super::options::LoadOptions;
use super::readiness::Readiness;
use super::report::{LoadReport, Subject};

/// Opens the connections, keeps their windows full for the warm-up and the measured time, and waits for the last answers.
/// Blocks the thread; `progress` is called on it once a second.
///
/// # Errors
/// The options make no sense, the server cannot be reached, or all connections ended.
pub fn run(options: &LoadOptions, progress: impl FnMut(&Progress)) -> Result<LoadReport, LoadError> {
    if options.connections == 0 || options.window == 0 || options.duration.is_zero() {
        return Err(LoadError::Options("connections, window and duration have to be more than 0"));
    }
    let frames = Frames::new(options)?;
    if frames.seq_max().is_some_and(|max| options.window > max as usize) {
        return Err(LoadError::Options("the window is larger than the seqs that the format can tell apart"));
    }
    let dial_error = |source| LoadError::Dial { number: 1, endpoint: options.endpoint.clone(), source };
    match options.endpoint.transport() {
        Transport::Kcp => {
            let dialler = KcpDialler::new(&options.endpoint, options.loss, options.connections).map_err(dial_error)?;
            go(options, dialler, frames, progress)
        }
        _ if options.loss.part > 0.0 => Err(LoadError::Options("only datagrams of kcp can be lost")),
        transport => {
            need_plain(transport)?;
            let dialler = Dialler::new(&options.endpoint, options.dial_timeout, options.connections).map_err(dial_error)?;
            go(options, dialler, frames, progress)
        }
    }
}

fn go<L: Line>(
    options: &LoadOptions,
    dialler: impl Dial<Line = L>,
    frames: Frames,
    progress: impl FnMut(&Progress),
) -> Result<LoadReport, LoadError> {
    Run::open(options, dialler, frames)?.go(options, progress)
}

/// A run in progress.
struct Run<L> {
    readiness: Readiness,
    connections: Vec<Connection<L>>,
    open: usize,
    last_end: Option<End>,
    frames: Frames,
    input: Input,
    meter: Meter,
}

impl<L: Line> Run<L> {
    /// Opens all connections.
    fn open(options: &LoadOptions, mut dialler: impl Dial<Line = L>, frames: Frames) -> Result<Self, LoadError> {
        let readiness = Readiness::new()?;
        let mut connections = Vec::with_capacity(options.connections);
        for index in 0..options.connections {
            let dial_error = |source| LoadError::Dial { number: index + 1, endpoint: options.endpoint.clone(), source };
            let dialled = dialler.dial().map_err(dial_error)?;
            connections.push(Connection::new(dialled, readiness.registry(), Token(index), &frames, options.window).map_err(dial_error)?);
        }
        Ok(Self {
            readiness,
            open: connections.len(),
            connections,
            last_end: None,
            frames,
            input: Input::new(options),
            meter: Meter::start(),
        })
    }

    /// Warms up, measures, drains.
    fn go(mut self, options: &LoadOptions, progress: impl FnMut(&Progress)) -> Result<LoadReport, LoadError> {
        for connection in &mut self.connections {
            let filled = connection.fill(&mut self.frames, &self.meter.clock, &mut self.meter.tally);
            if let Err(end) = filled {
                self.open -= connection.shut(self.readiness.registry());
                self.last_end = Some(end);
            }
        }
        let measured = measure(&mut self, options.warm_up, options.duration, progress)?;
        let subject = Subject {
            counted: "replies",
            endpoint: &options.endpoint,
            connections: options.connections,
            window: options.window,
            body_bytes: options.body.bytes(),
        };
        let mut report = LoadReport::new(subject, &self.meter.tally, measured);

        self.connections.iter_mut().for_each(Connection::stop);
        let deadline = self.meter.clock.now() + options.drain;
        while self.open > 0 && self.meter.clock.now() < deadline && self.connections.iter().any(Connection::is_waiting) {
            self.turn()?;
        }
        report.complete(&self.meter.tally, self.connections.len() - self.open, self.connections.iter().map(Connection::unanswered).sum());
        Ok(report)
    }

    /// Waits for sockets and serves each that is ready.
    fn turn(&mut self) -> Result<(), LoadError> {
        let wait = if L::HAS_TIMERS { self.tend() } else { Readiness::WAIT_MAX };
        self.readiness.wait(wait)?;
        if self.readiness.events().is_empty() {
            self.meter.clock.tick();
        }
        for event in self.readiness.events() {
            let Some(connection) = self.connections.get_mut(event.token().0) else { continue };
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            let served = if readable { connection.drain(&mut self.input, &mut self.meter.clock, &mut self.meter.tally) } else { Ok(()) };
            if let Err(end) = served.and_then(|()| connection.fill(&mut self.frames, &self.meter.clock, &mut self.meter.tally)) {
                self.open -= connection.shut(self.readiness.registry());
                self.last_end = Some(end);
            }
        }
        Ok(())
    }

    /// Does what is due. Returns how long nothing more will be.
    fn tend(&mut self) -> Duration {
        let mut wait = Readiness::WAIT_MAX;
        for connection in &mut self.connections {
            match connection.tend() {
                Ok(next) => wait = wait.min(next.unwrap_or(Readiness::WAIT_MAX)),
                Err(end) => {
                    self.open -= connection.shut(self.readiness.registry());
                    self.last_end = Some(end);
                }
            }
        }
        wait
    }
}

impl<L: Line> Load for Run<L> {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    fn open(&self) -> usize {
        self.open
    }

    fn round(&mut self) -> Result<ControlFlow<()>, LoadError> {
        if self.open == 0 {
            return Err(LoadError::AllEnded(self.last_end.take().map(|end| end.to_string()).unwrap_or_default()));
        }
        self.turn()?;
        Ok(ControlFlow::Continue(()))
    }
}
