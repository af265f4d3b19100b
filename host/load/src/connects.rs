//! Connecting over and over: each connection is opened, asks once, and is closed when it has its answer.

mod attempt;

use std::time::Duration;

use duet_codec::{Carrier, Format};
use mio::{Events, Poll, Token};

use super::dial::{Sources, raise_file_limit, resolve, upgrade_request};
use super::inlet::{Buffer, End};
use super::report::Subject;
use super::run::thread_cpu_time;
use super::tally::{Clock, Tally};
use super::{LoadBody, LoadError, LoadReport, Progress, need_stream, ws};
use attempt::{Attempt, Script};
use duet_client::Endpoint;

const EVENTS: usize = 1_024;
const WAIT_MAX: Duration = Duration::from_millis(10);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
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
    Connects::new(options, progress)?.go(options)
}

struct Connects<'a, P> {
    options: &'a ConnectsOptions,
    poll: Poll,
    events: Events,
    script: Script,
    sources: Sources,
    attempts: Vec<Option<Attempt>>,
    buffer: Buffer,
    clock: Clock,
    tally: Tally,
    failed: usize,
    first_failure: Option<String>,
    told_at: Duration,
    told_replies: u64,
    progress: P,
}

impl<'a, P: FnMut(&Progress)> Connects<'a, P> {
    fn new(options: &'a ConnectsOptions, progress: P) -> Result<Self, LoadError> {
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
            poll: Poll::new().map_err(LoadError::Poll)?,
            events: Events::with_capacity(EVENTS),
            script: Script { address, upgrade: upgrade_request(endpoint), request },
            sources: Sources::default(),
            attempts: (0..*connections).map(|_| None).collect(),
            buffer: Buffer::new(endpoint, format),
            clock: Clock::start(),
            tally: Tally::new(),
            failed: 0,
            first_failure: None,
            told_at: Duration::ZERO,
            told_replies: 0,
            progress,
        })
    }

    fn go(mut self, options: &ConnectsOptions) -> Result<LoadReport, LoadError> {
        self.turn_until(options.warm_up, true)?;
        let begun = self.clock.tick();
        let cpu_begun = thread_cpu_time();
        self.tally.begin();
        self.turn_until(begun + options.duration, false)?;
        let measured = self.clock.tick() - begun;
        let cpu = thread_cpu_time().saturating_sub(cpu_begun);
        let subject = Subject {
            counted: "connections",
            endpoint: &options.endpoint,
            connections: options.connections,
            window: 1,
            body_bytes: options.body.bytes(),
        };
        let mut report = LoadReport::new(subject, &self.tally, measured, cpu);
        self.tally.first_bad = self.tally.first_bad.take().or(self.first_failure.take());
        report.complete(&self.tally, self.failed, 0);
        Ok(report)
    }

    fn turn_until(&mut self, end: Duration, warming_up: bool) -> Result<(), LoadError> {
        while self.clock.tick() < end {
            self.begin_free();
            if self.failed >= HOPELESS && self.tally.replies_all() == 0 {
                return Err(LoadError::AllEnded(self.first_failure.take().unwrap_or_default()));
            }
            self.turn()?;
            let since_told = self.clock.now().saturating_sub(self.told_at);
            if since_told >= PROGRESS_INTERVAL {
                self.give_up_late();
                self.tell(since_told, warming_up);
            }
        }
        Ok(())
    }

    /// Begins a connection in each place that is free.
    fn begin_free(&mut self) {
        for (index, place) in self.attempts.iter_mut().enumerate().filter(|(_, place)| place.is_none()) {
            match Attempt::begin(&self.script, &mut self.sources, self.poll.registry(), Token(index), self.clock.now()) {
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
        match self.poll.poll(&mut self.events, Some(WAIT_MAX)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(LoadError::Poll(error)),
            _ => {}
        }
        for event in &self.events {
            let Some(place) = self.attempts.get_mut(event.token().0) else { continue };
            let Some(attempt) = place else { continue };
            match attempt.go_on(&self.script, &mut self.buffer, &mut self.tally) {
                Ok(false) => continue,
                Ok(true) => {
                    let latency = self.clock.tick().saturating_sub(attempt.begun());
                    self.tally.answered(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
                }
                Err(end) => fail(&mut self.failed, &mut self.first_failure, &end),
            }
            *place = None;
        }
        self.tally.flush();
        Ok(())
    }

    fn give_up_late(&mut self) {
        let now = self.clock.now();
        let late = |attempt: &mut Attempt| now.saturating_sub(attempt.begun()) > self.options.dial_timeout;
        for place in &mut self.attempts {
            if place.take_if(late).is_some() {
                fail(&mut self.failed, &mut self.first_failure, &End::Format("no answer in time".to_owned()));
            }
        }
    }

    fn tell(&mut self, since_told: Duration, warming_up: bool) {
        let replies = self.tally.replies_all();
        let rate = (replies - self.told_replies) as f64 / since_told.as_secs_f64();
        self.told_at = self.clock.now();
        self.told_replies = replies;
        let open = self.attempts.iter().flatten().count();
        (self.progress)(&Progress { elapsed: self.told_at, warming_up, rate, replies, open });
    }
}

fn fail(failed: &mut usize, first: &mut Option<String>, end: &End) {
    *failed += 1;
    first.get_or_insert_with(|| end.to_string());
}
