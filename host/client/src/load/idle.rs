//! Idle connections: opened, kept alive with heartbeats and counted, to see what a connection costs a server.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use duet_codec::Format;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::LoadError;
use super::dial::Dialler;
use super::ws;
use crate::endpoint::{Endpoint, Transport};

const EVENTS: usize = 1_024;
const READ_BYTES: usize = 64 * 1024;
/// Heartbeats are spread over their interval in steps of this length.
const STEP: Duration = Duration::from_millis(10);
/// Progress while opening is told after so many connections.
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
    /// Each connection sends a heartbeat once in this time; none if absent. A server drops silent connections.
    pub heartbeat_interval: Option<Duration>,
    /// How long one connection may take to open, with the ws upgrade.
    pub dial_timeout: Duration,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleReport {
    /// Connections opened.
    pub opened: usize,
    /// Connections the server ended before the time was over.
    pub ended: usize,
    /// How long opening took.
    pub opening: Duration,
    /// How long all were held.
    pub held: Duration,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Bytes received.
    pub bytes_in: u64,
}

impl std::fmt::Display for IdleReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { opened, ended, opening, held, heartbeats, bytes_in } = self;
        let (opening, held) = (opening.as_secs_f64(), held.as_secs_f64());
        write!(f, "opened={opened} ended={ended} opening_s={opening:.2} held_s={held:.2} heartbeats={heartbeats} bytes_in={bytes_in}")
    }
}

/// Opens the connections one after the other and holds them; what the server sends is read and dropped.
/// Blocks the thread; `progress` is called on it while opening and then once a second.
///
/// # Errors
/// A connection cannot be opened, or the system's readiness queue fails.
pub fn hold_idle(options: &IdleOptions, mut progress: impl FnMut(&IdleProgress)) -> Result<IdleReport, LoadError> {
    let mut idle = Idle::new(options)?;
    let dial_error = |number, source| LoadError::Dial { number, endpoint: options.endpoint.clone(), source };
    let mut dialler = Dialler::new(&options.endpoint, options.dial_timeout, options.connections).map_err(|source| dial_error(1, source))?;
    for number in 1..=options.connections {
        let mut socket = dialler.dial().map_err(|source| dial_error(number, source))?.socket;
        idle.poll.registry().register(&mut socket, Token(number - 1), Interest::READABLE).map_err(|source| dial_error(number, source))?;
        idle.sockets.push(Some(socket));
        if number % OPENED_TOLD == 0 {
            progress(&idle.progress(None));
            // The first ones must not fall silent while the last ones are opened.
            idle.turn(Duration::ZERO)?;
            idle.beat();
        }
    }
    let opening = idle.begun.elapsed();
    let held_from = Instant::now();
    let mut told_at = held_from;
    while held_from.elapsed() < options.hold {
        idle.turn(STEP.min(options.hold))?;
        idle.beat();
        if told_at.elapsed() >= PROGRESS_INTERVAL {
            told_at = Instant::now();
            progress(&idle.progress(Some(held_from.elapsed())));
        }
    }
    let ended = idle.sockets.len() - idle.open();
    let (heartbeats, bytes_in) = (idle.heartbeats, idle.bytes_in);
    Ok(IdleReport { opened: idle.sockets.len(), ended, opening, held: held_from.elapsed(), heartbeats, bytes_in })
}

struct Idle {
    poll: Poll,
    events: Events,
    sockets: Vec<Option<TcpStream>>,
    buffer: Vec<u8>,
    heartbeat: Vec<u8>,
    interval: Option<Duration>,
    begun: Instant,
    /// Heartbeats that had their turn, counted over all connections.
    turns: u64,
    heartbeats: u64,
    bytes_in: u64,
}

impl Idle {
    fn new(options: &IdleOptions) -> Result<Self, LoadError> {
        let transport = options.endpoint.transport();
        let mut packet = Vec::new();
        options.format.encode_heartbeat(transport.carrier(), None, &mut packet);
        let mut heartbeat = Vec::new();
        if transport == Transport::Ws {
            ws::put_header(ws::BINARY, packet.len(), &mut heartbeat);
        }
        heartbeat.extend_from_slice(&packet);
        Ok(Self {
            poll: Poll::new().map_err(LoadError::Poll)?,
            events: Events::with_capacity(EVENTS),
            sockets: Vec::with_capacity(options.connections),
            buffer: vec![0; READ_BYTES],
            heartbeat,
            interval: options.heartbeat_interval.filter(|interval| !interval.is_zero()),
            begun: Instant::now(),
            turns: 0,
            heartbeats: 0,
            bytes_in: 0,
        })
    }

    fn open(&self) -> usize {
        self.sockets.iter().flatten().count()
    }

    fn progress(&self, held: Option<Duration>) -> IdleProgress {
        IdleProgress { opened: self.sockets.len(), open: self.open(), held }
    }

    /// Reads what came and notices who is gone.
    fn turn(&mut self, wait: Duration) -> Result<(), LoadError> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(LoadError::Poll(error)),
            _ => {}
        }
        for event in &self.events {
            let Some(slot) = self.sockets.get_mut(event.token().0) else { continue };
            let Some(socket) = slot else { continue };
            loop {
                match socket.read(&mut self.buffer) {
                    Ok(count) if count > 0 => self.bytes_in += count as u64,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Ok(_) | Err(_) => {
                        *slot = None;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends the heartbeats that are due, one connection after the other.
    fn beat(&mut self) {
        let Some(interval) = self.interval else { return };
        let count = self.sockets.len() as u64;
        if count == 0 {
            return;
        }
        let due = (self.begun.elapsed().as_secs_f64() / interval.as_secs_f64() * count as f64) as u64;
        // After a pause one heartbeat of each is enough.
        self.turns = self.turns.max(due.saturating_sub(count));
        while self.turns < due {
            if let Some(slot) = self.sockets.get_mut((self.turns % count) as usize)
                && let Some(socket) = slot
            {
                match socket.write(&self.heartbeat) {
                    Ok(written) if written == self.heartbeat.len() => self.heartbeats += 1,
                    // Behind a part of a packet nothing can be sent any more.
                    Ok(_) => *slot = None,
                    // What a server does not take now it takes next time; if it is gone, reading tells.
                    Err(_) => {}
                }
            }
            self.turns += 1;
        }
    }
}
