//! Idle connections: opened, kept alive with heartbeats and counted, to see what a connection costs a server.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use duet_client::{Endpoint, Transport};
use duet_codec::{Carrier, Format};
use mio::Token;

use super::dial::{Dial, Dialler, KcpDialler, need_plain};
use super::end::End;
use super::error::LoadError;
use super::kcp::Loss;
use super::line::{Line, write};
use super::process::Process;
use super::readiness::Readiness;
use super::ws;

const READ_BYTES: usize = 64 * 1024;
/// Heartbeats are spread over their interval in steps of this length.
const STEP: Duration = Duration::from_millis(10);
/// While connections are opened, progress is reported after each this many.
const OPENED_TOLD: usize = 1_000;
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How many connections to hold, and how long.
#[derive(Debug, Clone)]
pub struct IdleOptions {
    /// The server.
    pub endpoint: Endpoint,
    /// Sizes, byte order and profile of the server's listener.
    pub format: Format,
    /// Connections to open.
    pub connections: usize,
    /// How long they are held after the last one is open.
    pub hold: Duration,
    /// Each connection sends a heartbeat when it opens and then once in this time; none if absent. A server drops silent connections, and
    /// over kcp it does not know of them.
    pub heartbeat_interval: Option<Duration>,
    /// How long one connection may take to open, with the ws upgrade.
    pub dial_timeout: Duration,
    /// The process of the server, if it is on this machine and its memory and processor time are to be reported.
    pub process: Option<u32>,
}

/// Where [`hold_idle`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleProgress {
    /// Connections opened so far.
    pub opened: usize,
    /// Connections that are open.
    pub open: usize,
    /// How long all have been open; absent while they are being opened.
    pub held: Option<Duration>,
}

/// What became of the connections.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IdleReport {
    /// Connections opened.
    pub opened: usize,
    /// Connections the server ended before the time was over.
    pub ended: usize,
    /// Connections that the server sent something to.
    pub heard: usize,
    /// How long opening took.
    pub opening: Duration,
    /// How long all were held.
    pub held: Duration,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// What the server's process cost, if it was asked for.
    pub server: Option<ServerCost>,
}

/// What connections cost a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServerCost {
    /// Bytes in memory before the first connection.
    pub memory_before: u64,
    /// Bytes in memory at the end, with all connections open.
    pub memory_held: u64,
    /// Processor time while they were held.
    pub cpu: Duration,
}

impl std::fmt::Display for IdleReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { opened, ended, heard, opening, held, heartbeats, bytes_in, server } = self;
        let (opening, held) = (opening.as_secs_f64(), held.as_secs_f64());
        write!(f, "opened={opened} ended={ended} heard={heard} opening_s={opening:.2} held_s={held:.2}")?;
        write!(f, " heartbeats={heartbeats} bytes_in={bytes_in}")?;
        let Some(ServerCost { memory_before, memory_held, cpu }) = server else { return Ok(()) };
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let each = (*memory_held as f64 - *memory_before as f64) / 1_024.0 / *opened as f64;
        write!(f, " memory_before_mib={:.1} memory_held_mib={:.1} memory_each_kib={each:.2}", mib(*memory_before), mib(*memory_held))?;
        write!(f, " cpu_percent={:.2}", cpu.as_secs_f64() / held * 100.0)
    }
}

/// Opens the connections one after the other and holds them; what the server sends is read and dropped.
/// Blocks the thread; `progress` is called on it while opening and then once a second.
///
/// # Errors
/// A connection cannot be opened, the system's readiness queue fails, or the figures of the server's process cannot be read.
pub fn hold_idle(options: &IdleOptions, progress: impl FnMut(&IdleProgress)) -> Result<IdleReport, LoadError> {
    if options.connections == 0 {
        return Err(LoadError::Options("connections have to be more than 0"));
    }
    let IdleOptions { endpoint, dial_timeout, connections, .. } = options;
    let dial_error = |source| LoadError::Dial { number: 1, endpoint: endpoint.clone(), source };
    if endpoint.transport() == Transport::Kcp {
        return hold(options, KcpDialler::new(endpoint, Loss::default(), *connections).map_err(dial_error)?, progress);
    }
    need_plain(endpoint.transport())?;
    hold(options, Dialler::new(endpoint, *dial_timeout, *connections).map_err(dial_error)?, progress)
}

fn hold<L: Line>(
    options: &IdleOptions,
    mut dialler: impl Dial<Line = L>,
    mut progress: impl FnMut(&IdleProgress),
) -> Result<IdleReport, LoadError> {
    let mut idle = Idle::new(options)?;
    let process = options.process.map(Process);
    let memory_before = process.map(Process::resident_bytes).transpose()?;
    for number in 1..=options.connections {
        let dial_error = |source| LoadError::Dial { number, endpoint: options.endpoint.clone(), source };
        idle.add(dialler.dial().map_err(dial_error)?.line).map_err(dial_error)?;
        if number % OPENED_TOLD == 0 {
            progress(&idle.progress(None));
        }
        // The first ones must not fall silent while the last ones are opened.
        idle.turn(Duration::ZERO)?;
        idle.beat();
    }
    let opening = idle.begun.elapsed();
    let held_from = Instant::now();
    let cpu_before = process.map(Process::cpu_time).transpose()?;
    let mut told_at = held_from;
    while held_from.elapsed() < options.hold {
        idle.turn(STEP.min(options.hold))?;
        idle.beat();
        if told_at.elapsed() >= PROGRESS_INTERVAL {
            told_at = Instant::now();
            progress(&idle.progress(Some(held_from.elapsed())));
        }
    }
    let server = match (process, memory_before, cpu_before) {
        (Some(process), Some(memory_before), Some(cpu_before)) => {
            let (memory_held, cpu) = (process.resident_bytes()?, process.cpu_time()?.saturating_sub(cpu_before));
            Some(ServerCost { memory_before, memory_held, cpu })
        }
        _ => None,
    };
    let (opened, open) = (idle.seats.len(), idle.open());
    let Idle { heartbeats, bytes_in, .. } = idle;
    let heard = idle.seats.iter().filter(|seat| seat.heard).count();
    Ok(IdleReport { opened, ended: opened - open, heard, opening, held: held_from.elapsed(), heartbeats, bytes_in, server })
}

struct Idle<L> {
    readiness: Readiness,
    seats: Vec<Seat<L>>,
    buffer: Vec<u8>,
    heartbeat: Vec<u8>,
    interval: Option<Duration>,
    begun: Instant,
    /// Heartbeats that had their turn, counted over all connections.
    turns: u64,
    heartbeats: u64,
    bytes_in: u64,
}

struct Seat<L> {
    line: Option<L>,
    heard: bool,
}

impl<L: Line> Idle<L> {
    fn new(options: &IdleOptions) -> Result<Self, LoadError> {
        let carrier = options.endpoint.transport().carrier();
        let mut packet = Vec::new();
        options.format.encode_heartbeat(carrier, None, &mut packet);
        let mut heartbeat = Vec::new();
        if carrier == Carrier::Message {
            ws::put_header(ws::BINARY, packet.len(), &mut heartbeat);
        }
        heartbeat.extend_from_slice(&packet);
        Ok(Self {
            readiness: Readiness::new()?,
            seats: Vec::with_capacity(options.connections),
            buffer: vec![0; READ_BYTES],
            heartbeat,
            interval: options.heartbeat_interval.filter(|interval| !interval.is_zero()),
            begun: Instant::now(),
            turns: 0,
            heartbeats: 0,
            bytes_in: 0,
        })
    }

    /// Takes in a connection, and lets it say that it is there.
    fn add(&mut self, mut line: L) -> io::Result<()> {
        line.register(self.readiness.registry(), Token(self.seats.len()))?;
        self.seats.push(Seat { line: Some(line), heard: false });
        if self.interval.is_some() {
            self.beat_one(self.seats.len() - 1);
        }
        Ok(())
    }

    fn open(&self) -> usize {
        self.seats.iter().filter(|seat| seat.line.is_some()).count()
    }

    fn progress(&self, held: Option<Duration>) -> IdleProgress {
        IdleProgress { opened: self.seats.len(), open: self.open(), held }
    }

    /// Reads what came and notices who is gone.
    fn turn(&mut self, wait: Duration) -> Result<(), LoadError> {
        if L::HAS_TIMERS {
            self.tend();
        }
        self.readiness.wait(wait)?;
        for event in self.readiness.events() {
            let Some(seat) = self.seats.get_mut(event.token().0) else { continue };
            let Some(line) = &mut seat.line else { continue };
            match read_all(line, &mut self.buffer) {
                Ok(count) => {
                    seat.heard |= count > 0;
                    self.bytes_in += count;
                }
                Err(_) => seat.line = None,
            }
        }
        Ok(())
    }

    fn tend(&mut self) {
        for seat in &mut self.seats {
            if seat.line.as_mut().is_some_and(|line| line.tend().is_err()) {
                seat.line = None;
            }
        }
    }

    /// Sends the heartbeats that are due, one connection after the other.
    fn beat(&mut self) {
        let Some(interval) = self.interval else { return };
        let count = self.seats.len() as u64;
        if count == 0 {
            return;
        }
        let due = (self.begun.elapsed().as_secs_f64() / interval.as_secs_f64() * count as f64) as u64;
        // After a pause, one heartbeat of each connection is enough.
        self.turns = self.turns.max(due.saturating_sub(count));
        while self.turns < due {
            self.beat_one((self.turns % count) as usize);
            self.turns += 1;
        }
    }

    fn beat_one(&mut self, index: usize) {
        let Some(seat) = self.seats.get_mut(index) else { return };
        let Some(line) = &mut seat.line else { return };
        match write(line, &self.heartbeat) {
            Ok(Some(written)) if written == self.heartbeat.len() => self.heartbeats += 1,
            // After a part of a packet, nothing more can be sent.
            Ok(Some(_)) => seat.line = None,
            // What a server does not take now it takes next time; if it is gone, reading shows it.
            Ok(None) | Err(_) => {}
        }
    }
}

/// Reads and drops all there is, and says how many bytes that was.
fn read_all(line: &mut impl Line, buffer: &mut [u8]) -> Result<u64, End> {
    line.receive()?;
    let mut bytes = 0;
    loop {
        match line.read(buffer) {
            Ok(0) => return Err(End::Stream),
            Ok(count) => bytes += count as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(bytes),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
