//! Connecting over and over: each connection is opened, asks once, and is closed when it has its answer.

mod attempt;

use std::ops::ControlFlow;
use std::time::Duration;

use duet_client::Endpoint;
use duet_codec::{Carrier, Format};
use mio::Token;

use super::dial::{Sources, need_stream, raise_file_limit, resolve, upgrade_request};
use super::end::End;
use super::error::LoadError;
use super::inlet::Buffer;
use super::measure::{Load, Meter, Progress, measure};
use super::options::LoadBody;
use super::readiness::Readiness;
use super::report::{LoadReport, Subject};
use super::ws;
use attempt::{Attempt, Script};

/// This many failures before the first success end the run.
const HOPELESS: usize = 100;

/// How many at a time, and what they ask.
#[derive(Debug, Clone)]
pub struct ConnectsOptions {
    /// The server.
    pub endpoint: Endpoint,
    /// Sizes, byte order and profile of the server's listener.
    pub format: Format,
    /// Connections under way at a time.
    pub connections: usize,
    /// The route that is asked.
    pub route: i32,
    /// What is asked.
    pub body: LoadBody,
    /// Time before anything is measured.
    pub warm_up: Duration,
    /// Time that is measured.
    pub duration: Duration,
    /// A connection without an answer after this time has failed.
    pub dial_timeout: Duration,
}

/// Keeps connections under way for the warm-up and the measured time. Each that has its first reply counts; its latency is the time from
/// the beginning of connecting to that reply. Those that failed are reported as ended. Blocks the thread; `progress` is called on it once a
/// second.
///
/// # Errors
/// The options make no sense, or the server cannot be reached.
pub fn connects(options: &ConnectsOptions, progress: impl FnMut(&Progress)) -> Result<LoadReport, LoadError> {
    if options.connections == 0 || options.duration.is_zero() {
        return Err(LoadError::Options("connections and duration have to be more than 0"));
    }
    need_stream(options.endpoint.transport())?;
    Connects::new(options)?.go(progress)
}

struct Connects<'a> {
    options: &'a ConnectsOptions,
    readiness: Readiness,
    script: Script,
    sources: Sources,
    attempts: Vec<Option<Attempt>>,
    buffer: Buffer,
    meter: Meter,
    failed: usize,
    first_failure: Option<String>,
}

impl<'a> Connects<'a> {
    fn new(options: &'a ConnectsOptions) -> Result<Self, LoadError> {
        let ConnectsOptions { endpoint, format, connections, route, body, .. } = options;
        raise_file_limit(*connections);
        let address = resolve(endpoint).map_err(|source| LoadError::Dial { number: 1, endpoint: endpoint.clone(), source })?;
        let carrier = endpoint.transport().carrier();
        let (mut packet, mut request) = (Vec::new(), Vec::new());
        format.encode(carrier, *route, format.seq_max().min(1), &body.to_bytes(), &mut packet)?;
        if carrier == Carrier::Message {
            ws::put_header(ws::BINARY, packet.len(), &mut request);
        }
        request.extend_from_slice(&packet);
        Ok(Self {
            options,
            readiness: Readiness::new()?,
            script: Script { address, upgrade: upgrade_request(endpoint), request },
            sources: Sources::default(),
            attempts: (0..*connections).map(|_| None).collect(),
            buffer: Buffer::new(endpoint, format),
            meter: Meter::start(),
            failed: 0,
            first_failure: None,
        })
    }

    fn go(mut self, progress: impl FnMut(&Progress)) -> Result<LoadReport, LoadError> {
        let options = self.options;
        let measured = measure(&mut self, options.warm_up, options.duration, progress)?;
        let subject = Subject {
            counted: "connections",
            endpoint: &options.endpoint,
            connections: options.connections,
            window: 1,
            body_bytes: options.body.bytes(),
        };
        let mut report = LoadReport::new(subject, &self.meter.tally, measured);
        self.meter.tally.first_bad = self.meter.tally.first_bad.take().or(self.first_failure.take());
        report.complete(&self.meter.tally, self.failed, 0);
        Ok(report)
    }

    /// Begins a connection in each place that is free.
    fn begin_free(&mut self) {
        for (index, place) in self.attempts.iter_mut().enumerate().filter(|(_, place)| place.is_none()) {
            match Attempt::begin(&self.script, &mut self.sources, self.readiness.registry(), Token(index), self.meter.clock.now()) {
                Ok(attempt) => *place = Some(attempt),
                Err(error) => {
                    self.failed += 1;
                    self.first_failure.get_or_insert_with(|| error.to_string());
                }
            }
        }
    }

    /// Waits for sockets and goes on with each that is ready.
    fn turn(&mut self) -> Result<(), LoadError> {
        self.readiness.wait(Readiness::WAIT_MAX)?;
        for event in self.readiness.events() {
            let Some(place) = self.attempts.get_mut(event.token().0) else { continue };
            let Some(attempt) = place else { continue };
            match attempt.go_on(&self.script, &mut self.buffer, &mut self.meter.tally) {
                Ok(false) => continue,
                Ok(true) => {
                    let latency = self.meter.clock.tick().saturating_sub(attempt.begun());
                    self.meter.tally.answered(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
                }
                Err(end) => fail(&mut self.failed, &mut self.first_failure, &end),
            }
            *place = None;
        }
        self.meter.tally.flush();
        Ok(())
    }

    fn give_up_late(&mut self) {
        let now = self.meter.clock.now();
        let late = |attempt: &mut Attempt| now.saturating_sub(attempt.begun()) > self.options.dial_timeout;
        for place in &mut self.attempts {
            if place.take_if(late).is_some() {
                fail(&mut self.failed, &mut self.first_failure, &End::Format("no answer in time".to_owned()));
            }
        }
    }
}

impl Load for Connects<'_> {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    /// Those on their way.
    fn open(&self) -> usize {
        self.attempts.iter().flatten().count()
    }

    fn round(&mut self) -> Result<ControlFlow<()>, LoadError> {
        self.meter.clock.tick();
        self.give_up_late();
        self.begin_free();
        if self.failed >= HOPELESS && self.meter.tally.replies_all() == 0 {
            return Err(LoadError::AllEnded(self.first_failure.take().unwrap_or_default()));
        }
        self.turn()?;
        Ok(ControlFlow::Continue(()))
    }
}

fn fail(failed: &mut usize, first: &mut Option<String>, end: &End) {
    *failed += 1;
    first.get_or_insert_with(|| end.to_string());
}
