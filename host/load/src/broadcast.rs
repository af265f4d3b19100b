//! Broadcasts: one connection asks for them, all count what arrives and when.
//!
//! The server needs the routes of the fixture `lobby`: 7 joins `{"channel":..}`, 9 publishes `{"channel":..,"text":..}` to its members on
//! route 103, 6 broadcasts `{"text":..}` to all on route 102; what arrives is `{"text":..}`.

mod flights;
mod listener;

use std::ops::ControlFlow;
use std::time::Duration;

use duet_client::Endpoint;
use duet_codec::{Carrier, Format};
use mio::Token;

use super::dial::{Dial, Dialler, need_stream};
use super::end::End;
use super::error::LoadError;
use super::inlet::Buffer;
use super::measure::{Load, Meter, Progress, measure};
use super::readiness::Readiness;
use super::report::{LoadReport, Subject};
use super::ws;
use flights::Flights;
use listener::{Listener, NUMBER_DIGITS, WINDOW_MAX};

/// A broadcast that has not reached everybody after this time ends the run.
const STALLED: Duration = Duration::from_secs(10);

/// Who gets a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The members of a channel.
    Channel,
    /// Every connection.
    All,
}

/// How many listen, and what they get.
#[derive(Debug, Clone)]
pub struct BroadcastOptions {
    /// The server.
    pub endpoint: Endpoint,
    /// Sizes, byte order and profile of the server's listener.
    pub format: Format,
    /// Connections that listen; one of them asks for the broadcasts.
    pub connections: usize,
    /// Broadcasts under way at a time, up to 32: a further one is asked for when the oldest has reached everybody.
    pub window: usize,
    /// Who gets them.
    pub audience: Audience,
    /// Letters of the text, at least 10.
    pub letters: usize,
    /// Time before anything is measured.
    pub warm_up: Duration,
    /// Time that is measured.
    pub duration: Duration,
    /// How long one connection may take to open.
    pub dial_timeout: Duration,
}

/// Opens the connections and lets one of them ask for broadcasts. A delivery's latency is the time from just before its request is handed
/// to the system to the end of the read that brought it. Blocks the thread; `progress` is called on it once a second.
///
/// # Errors
/// The options make no sense, the server cannot be reached or does not know the routes, or all connections ended.
pub fn broadcast(options: &BroadcastOptions, progress: impl FnMut(&Progress)) -> Result<LoadReport, LoadError> {
    if options.connections == 0 || options.duration.is_zero() || !(1..=WINDOW_MAX as usize).contains(&options.window) {
        return Err(LoadError::Options("connections and duration have to be more than 0, the window 1 to 32"));
    }
    if options.letters < NUMBER_DIGITS {
        return Err(LoadError::Options("a text that is broadcast has at least 10 letters"));
    }
    need_stream(options.endpoint.transport())?;
    Broadcast::open(options)?.go(progress)
}

struct Broadcast<'a> {
    options: &'a BroadcastOptions,
    readiness: Readiness,
    listeners: Vec<Listener>,
    open: usize,
    last_end: Option<End>,
    buffer: Buffer,
    meter: Meter,
    flights: Flights,
    ask: Ask,
}

/// What asks for a broadcast.
struct Ask {
    format: Format,
    carrier: Carrier,
    route: i32,
    before: &'static str,
    letters: String,
    seq_max: i32,
    /// What could not be written yet.
    unsent: Vec<u8>,
}

impl<'a> Broadcast<'a> {
    /// Opens all connections and lets them join.
    fn open(options: &'a BroadcastOptions) -> Result<Self, LoadError> {
        let BroadcastOptions { endpoint, format, connections, dial_timeout, .. } = options;
        let dial_error = |number, source| LoadError::Dial { number, endpoint: endpoint.clone(), source };
        let readiness = Readiness::new()?;
        let mut dialler = Dialler::new(endpoint, *dial_timeout, *connections).map_err(|source| dial_error(1, source))?;
        let ask = Ask::new(options);
        let join = ask.frame(listener::JOIN, 1, br#"{"channel":"bench"}"#)?;
        let mut listeners = Vec::with_capacity(*connections);
        for index in 0..*connections {
            let dialled = dialler.dial().map_err(|source| dial_error(index + 1, source))?;
            let listener = Listener::join(dialled, readiness.registry(), Token(index), &join);
            listeners.push(listener.map_err(|source| dial_error(index + 1, source))?);
        }
        let mut broadcast = Self {
            options,
            readiness,
            open: listeners.len(),
            listeners,
            last_end: None,
            buffer: Buffer::new(endpoint, format),
            meter: Meter::start(),
            flights: Flights::default(),
            ask,
        };
        broadcast.wait_for_members(*dial_timeout)?;
        Ok(broadcast)
    }

    fn wait_for_members(&mut self, timeout: Duration) -> Result<(), LoadError> {
        let deadline = self.meter.clock.tick() + timeout;
        loop {
            let members = self.listeners.iter().filter(|listener| listener.is_member()).count();
            if members == self.listeners.len() {
                return Ok(());
            }
            if self.meter.clock.tick() > deadline || self.open < self.listeners.len() || !self.meter.tally.errors.is_empty() {
                let refused =
                    self.meter.tally.errors.keys().next().map_or_else(String::new, |code| format!("; one was refused with code {code}"));
                return Err(LoadError::Setup(format!("only {members} of {} connections could join{refused}", self.listeners.len())));
            }
            self.turn()?;
        }
    }

    /// Warms up, measures, waits for the last deliveries.
    fn go(mut self, progress: impl FnMut(&Progress)) -> Result<LoadReport, LoadError> {
        let options = self.options;
        let measured = measure(&mut self, options.warm_up, options.duration, progress)?;
        let subject = Subject {
            counted: "deliveries",
            endpoint: &options.endpoint,
            connections: options.connections,
            window: options.window,
            body_bytes: r#"{"text":""}"#.len() + options.letters,
        };
        let mut report = LoadReport::new(subject, &self.meter.tally, measured);
        let deadline = self.meter.clock.now() + STALLED;
        while self.open > 0 && self.meter.clock.now() < deadline && !self.flights.is_empty() {
            self.turn()?;
            self.flights.land(self.open);
        }
        report.complete(&self.meter.tally, self.listeners.len() - self.open, self.flights.missing(self.open));
        Ok(report)
    }

    /// Asks for the next broadcast.
    fn ask(&mut self) -> Result<(), LoadError> {
        let frame = self.ask.numbered(self.flights.next())?;
        self.ask.unsent.extend_from_slice(&frame);
        self.meter.clock.tick();
        self.flights.begin(self.meter.clock.micros());
        self.write();
        Ok(())
    }

    fn write(&mut self) {
        let Some(driver) = self.listeners.first_mut() else { return };
        match driver.write(&self.ask.unsent) {
            Ok(count) => {
                self.meter.tally.bytes_out += count as u64;
                self.ask.unsent.drain(..count);
            }
            Err(end) => {
                self.open -= driver.shut(self.readiness.registry());
                self.last_end = Some(end);
            }
        }
    }

    /// Waits for sockets and reads from each that is ready.
    fn turn(&mut self) -> Result<(), LoadError> {
        self.readiness.wait(Readiness::WAIT_MAX)?;
        self.meter.clock.tick();
        let mut may_write = false;
        for event in self.readiness.events() {
            let Token(index) = event.token();
            let Some(listener) = self.listeners.get_mut(index) else { continue };
            may_write |= index == 0 && event.is_writable();
            let route = self.ask.delivered_on();
            if let Err(end) = listener.drain(route, &mut self.buffer, &mut self.meter.clock, &mut self.meter.tally, &mut self.flights) {
                self.open -= listener.shut(self.readiness.registry());
                self.last_end = Some(end);
            }
        }
        if may_write && !self.ask.unsent.is_empty() {
            self.write();
        }
        Ok(())
    }
}

impl Load for Broadcast<'_> {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    fn open(&self) -> usize {
        self.open
    }

    fn round(&mut self) -> Result<ControlFlow<()>, LoadError> {
        if self.open == 0 || self.listeners.first().is_none_or(|driver| !driver.is_open()) {
            return Err(LoadError::AllEnded(self.last_end.take().map(|end| end.to_string()).unwrap_or_default()));
        }
        self.flights.land(self.open);
        while self.flights.count() < self.options.window {
            self.ask()?;
        }
        if self.flights.is_older_than(STALLED, self.meter.clock.tick()) {
            return Ok(ControlFlow::Break(()));
        }
        self.turn()?;
        Ok(ControlFlow::Continue(()))
    }
}

impl Ask {
    fn new(options: &BroadcastOptions) -> Self {
        let (route, before) = match options.audience {
            Audience::Channel => (listener::PUBLISH, r#"{"channel":"bench","text":""#),
            Audience::All => (listener::BROADCAST, r#"{"text":""#),
        };
        let letters = ('a'..='z').chain('A'..='Z').cycle().take(options.letters - NUMBER_DIGITS).collect();
        let (format, carrier) = (options.format, options.endpoint.transport().carrier());
        Self { format, carrier, route, before, letters, seq_max: format.seq_max(), unsent: Vec::new() }
    }

    fn delivered_on(&self) -> i32 {
        if self.route == listener::PUBLISH { listener::PUBLISHED } else { listener::BROADCASTED }
    }

    /// Asks for broadcast `number`.
    fn numbered(&self, number: u64) -> Result<Vec<u8>, LoadError> {
        let body = format!("{}{number:0NUMBER_DIGITS$}{}\"}}", self.before, self.letters);
        let seq = if self.seq_max == 0 { 0 } else { (number % self.seq_max as u64) as i32 + 1 };
        self.frame(self.route, seq, body.as_bytes())
    }

    fn frame(&self, route: i32, seq: i32, body: &[u8]) -> Result<Vec<u8>, LoadError> {
        let (mut packet, mut frame) = (Vec::new(), Vec::new());
        self.format.encode(self.carrier, route, seq.min(self.seq_max), body, &mut packet)?;
        if self.carrier == Carrier::Message {
            ws::put_header(ws::BINARY, packet.len(), &mut frame);
        }
        frame.extend_from_slice(&packet);
        Ok(frame)
    }
}
