//! Broadcasts: one connection asks for them, all count what arrives and when.
//!
//! The server needs the routes of the fixture `lobby`: 7 joins `{"channel":..}`, 9 publishes `{"channel":..,"text":..}` to its members on
//! route 103, 6 broadcasts `{"text":..}` to all on route 102; what arrives is `{"text":..}`.

mod listener;

use std::collections::VecDeque;
use std::time::Duration;

use duet_codec::{Carrier, Format};
use mio::net::TcpStream;
use mio::{Events, Poll, Token};

use super::dial::{Dial, Dialler};
use super::inlet::{Buffer, End};
use super::report::Subject;
use super::run::thread_cpu_time;
use super::tally::{Clock, Tally};
use super::{LoadError, LoadReport, Progress, need_stream, ws};
use duet_client::Endpoint;
use listener::{Listener, NUMBER_DIGITS, WINDOW_MAX};

const EVENTS: usize = 1_024;
const WAIT_MAX: Duration = Duration::from_millis(10);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
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
    Broadcast::open(options, progress)?.go(options)
}

struct Broadcast<P> {
    poll: Poll,
    events: Events,
    listeners: Vec<Listener>,
    open: usize,
    last_end: Option<End>,
    buffer: Buffer,
    clock: Clock,
    tally: Tally,
    flights: Flights,
    ask: Ask,
    told_at: Duration,
    told_deliveries: u64,
    progress: P,
}

/// The broadcasts under way.
struct Flights {
    under_way: VecDeque<Flight>,
    /// The number of the oldest.
    first: u64,
}

struct Flight {
    sent_at: u32,
    delivered: usize,
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

impl<P: FnMut(&Progress)> Broadcast<P> {
    /// Opens all connections and lets them join.
    fn open(options: &BroadcastOptions, progress: P) -> Result<Self, LoadError> {
        let BroadcastOptions { endpoint, format, connections, dial_timeout, .. } = options;
        let dial_error = |number, source| LoadError::Dial { number, endpoint: endpoint.clone(), source };
        let poll = Poll::new().map_err(LoadError::Poll)?;
        let mut dialler = Dialler::new(endpoint, *dial_timeout, *connections).map_err(|source| dial_error(1, source))?;
        let ask = Ask::new(options);
        let join = ask.frame(listener::JOIN, 1, br#"{"channel":"bench"}"#)?;
        let mut listeners = Vec::with_capacity(*connections);
        for index in 0..*connections {
            let dialled = dialler.dial().map_err(|source| dial_error(index + 1, source))?;
            let listener = Listener::join(dialled, poll.registry(), Token(index), &join);
            listeners.push(listener.map_err(|source| dial_error(index + 1, source))?);
        }
        let mut broadcast = Self {
            poll,
            events: Events::with_capacity(EVENTS),
            open: listeners.len(),
            listeners,
            last_end: None,
            buffer: Buffer::new(endpoint, format),
            clock: Clock::start(),
            tally: Tally::new(),
            flights: Flights { under_way: VecDeque::new(), first: 0 },
            ask,
            told_at: Duration::ZERO,
            told_deliveries: 0,
            progress,
        };
        broadcast.wait_for_members(*dial_timeout)?;
        Ok(broadcast)
    }

    fn wait_for_members(&mut self, timeout: Duration) -> Result<(), LoadError> {
        let deadline = self.clock.tick() + timeout;
        loop {
            let members = self.listeners.iter().filter(|listener| listener.is_member()).count();
            if members == self.listeners.len() {
                return Ok(());
            }
            if self.clock.tick() > deadline || self.open < self.listeners.len() || !self.tally.errors.is_empty() {
                let refused =
                    self.tally.errors.keys().next().map_or_else(String::new, |code| format!("; one was refused with code {code}"));
                return Err(LoadError::Setup(format!("only {members} of {} connections could join{refused}", self.listeners.len())));
            }
            self.turn()?;
        }
    }

    /// Warms up, measures, waits for the last deliveries.
    fn go(mut self, options: &BroadcastOptions) -> Result<LoadReport, LoadError> {
        let begun = self.clock.tick();
        self.told_at = begun;
        self.turn_until(options, begun + options.warm_up, true)?;
        let begun = self.clock.tick();
        let cpu_begun = thread_cpu_time();
        self.tally.begin();
        self.turn_until(options, begun + options.duration, false)?;
        let measured = self.clock.tick() - begun;
        let cpu = thread_cpu_time().saturating_sub(cpu_begun);
        let subject = Subject {
            counted: "deliveries",
            endpoint: &options.endpoint,
            connections: options.connections,
            window: options.window,
            body_bytes: r#"{"text":""}"#.len() + options.letters,
        };
        let mut report = LoadReport::new(subject, &self.tally, measured, cpu);
        let deadline = self.clock.now() + STALLED;
        while self.open > 0 && self.clock.now() < deadline && !self.flights.under_way.is_empty() {
            self.turn()?;
            self.flights.land(self.open);
        }
        let missing = self.flights.under_way.iter().map(|flight| self.open.saturating_sub(flight.delivered) as u64).sum();
        report.complete(&self.tally, self.listeners.len() - self.open, missing);
        Ok(report)
    }

    fn turn_until(&mut self, options: &BroadcastOptions, end: Duration, warming_up: bool) -> Result<(), LoadError> {
        while self.clock.now() < end {
            if self.open == 0 || self.listeners.first().is_none_or(|driver| !driver.is_open()) {
                return Err(LoadError::AllEnded(self.last_end.take().map(|end| end.to_string()).unwrap_or_default()));
            }
            self.flights.land(self.open);
            while self.flights.under_way.len() < options.window {
                self.ask()?;
            }
            if self.flights.is_stalled(self.clock.tick()) {
                return Ok(());
            }
            self.turn()?;
            let since_told = self.clock.now().saturating_sub(self.told_at);
            if since_told >= PROGRESS_INTERVAL {
                self.tell(since_told, warming_up);
            }
        }
        Ok(())
    }

    /// Asks for the next broadcast.
    fn ask(&mut self) -> Result<(), LoadError> {
        let number = self.flights.first + self.flights.under_way.len() as u64;
        let frame = self.ask.numbered(number)?;
        self.ask.unsent.extend_from_slice(&frame);
        self.clock.tick();
        self.flights.under_way.push_back(Flight { sent_at: self.clock.micros(), delivered: 0 });
        self.write();
        Ok(())
    }

    fn write(&mut self) {
        let Some(driver) = self.listeners.first_mut() else { return };
        match driver.write(&self.ask.unsent) {
            Ok(count) => {
                self.tally.bytes_out += count as u64;
                self.ask.unsent.drain(..count);
            }
            Err(end) => {
                self.open -= driver.shut(self.poll.registry());
                self.last_end = Some(end);
            }
        }
    }

    /// Waits for sockets and reads from each that is ready.
    fn turn(&mut self) -> Result<(), LoadError> {
        match self.poll.poll(&mut self.events, Some(WAIT_MAX)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(LoadError::Poll(error)),
            _ => {}
        }
        self.clock.tick();
        let mut may_write = false;
        for event in &self.events {
            let Token(index) = event.token();
            let Some(listener) = self.listeners.get_mut(index) else { continue };
            may_write |= index == 0 && event.is_writable();
            let route = self.ask.delivered_on();
            if let Err(end) = listener.drain(route, &mut self.buffer, &mut self.clock, &mut self.tally, &mut self.flights) {
                self.open -= listener.shut(self.poll.registry());
                self.last_end = Some(end);
            }
        }
        if may_write && !self.ask.unsent.is_empty() {
            self.write();
        }
        Ok(())
    }

    fn tell(&mut self, since_told: Duration, warming_up: bool) {
        let replies = self.tally.replies_all();
        let rate = (replies - self.told_deliveries) as f64 / since_told.as_secs_f64();
        self.told_at = self.clock.now();
        self.told_deliveries = replies;
        (self.progress)(&Progress { elapsed: self.told_at, warming_up, rate, replies, open: self.open });
    }
}

impl Flights {
    /// Notes a delivery and says when its broadcast was asked for. `None` if it is not under way.
    fn deliver(&mut self, number: u64) -> Option<u32> {
        let flight = self.under_way.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)?;
        flight.delivered += 1;
        Some(flight.sent_at)
    }

    /// Forgets those that have reached everybody.
    fn land(&mut self, open: usize) {
        while self.under_way.pop_front_if(|flight| flight.delivered >= open).is_some() {
            self.first += 1;
        }
    }

    fn is_stalled(&self, now: Duration) -> bool {
        let age = |flight: &Flight| Duration::from_micros((now.as_micros() as u32).wrapping_sub(flight.sent_at).into());
        self.under_way.front().is_some_and(|flight| age(flight) > STALLED)
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
