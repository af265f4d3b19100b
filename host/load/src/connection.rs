//! One connection of a run: reads and checks answers, keeps its window full.

use std::io;
use std::time::Duration;

use duet_codec::{Format, Packet};
use mio::{Registry, Token};

use super::dial::Dialled;
use super::end::End;
use super::frames::Frames;
use super::inlet::{Buffer, Event, Inlet};
use super::line::{Line, write};
use super::options::LoadOptions;
use super::outstanding::{Matched, Outstanding};
use super::tally::{Clock, Tally};
use super::ws;

/// Pongs that wait to be written; a server that pings faster than it reads gets no more.
const PONGS_BYTES_MAX: usize = 4 * 1024;

/// What all connections read into and check against, one after the other.
pub(super) struct Input {
    buffer: Buffer,
    expected: Expected,
}

/// What an answer has to be.
#[derive(Clone, Copy)]
struct Expected {
    format: Format,
    route: i32,
    body_bytes: Option<usize>,
}

pub(super) struct Connection<L> {
    line: L,
    open: bool,
    stopped: bool,
    inlet: Inlet,
    requests: Requests,
    /// The number of the first request that is not wholly written, and how much of it is.
    unsent: u64,
    unsent_offset: usize,
    pongs: Vec<u8>,
    pongs_offset: usize,
}

/// The requests of a connection, to which answers are compared.
struct Requests(Outstanding);

impl Input {
    pub(super) fn new(options: &LoadOptions) -> Self {
        let body_bytes = options.same_size.then(|| options.body.bytes());
        Self {
            buffer: Buffer::new(&options.endpoint, &options.format),
            expected: Expected { format: options.format, route: options.route, body_bytes },
        }
    }
}

impl<L: Line> Connection<L> {
    pub(super) fn new(dialled: Dialled<L>, registry: &Registry, token: Token, frames: &Frames, window: usize) -> io::Result<Self> {
        let Dialled { mut line, received } = dialled;
        line.register(registry, token)?;
        Ok(Self {
            line,
            open: true,
            stopped: false,
            inlet: Inlet::new(received),
            requests: Requests(Outstanding::new(window, frames.seq_max())),
            unsent: 0,
            unsent_offset: 0,
            pongs: Vec::new(),
            pongs_offset: 0,
        })
    }

    /// Sends no further request.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether an answer is still to come.
    pub(super) fn is_waiting(&self) -> bool {
        self.open && self.requests.0.waiting() > 0
    }

    /// Requests that had no answer.
    pub(super) fn unanswered(&self) -> u64 {
        self.requests.0.lost() + self.requests.0.waiting() as u64
    }

    /// Forgets the socket. Returns how many connections that closed: 1, or 0 if it was closed before.
    pub(super) fn shut(&mut self, registry: &Registry) -> usize {
        self.line.shut(registry);
        usize::from(std::mem::take(&mut self.open))
    }

    /// Reads all there is.
    pub(super) fn drain(&mut self, input: &mut Input, clock: &mut Clock, tally: &mut Tally) -> Result<(), End> {
        if !self.open {
            return Ok(());
        }
        self.line.receive()?;
        let Self { inlet, line, requests, pongs, .. } = self;
        let expected = input.expected;
        let drained = inlet.drain(line, &mut input.buffer, |event| {
            match event {
                Event::Read(count) => {
                    clock.tick();
                    tally.bytes_in += count as u64;
                }
                Event::Packet(packet) => requests.take(&packet, expected, clock, tally),
                Event::Ping(payload) if pongs.len() < PONGS_BYTES_MAX => {
                    ws::put_header(ws::PONG, payload.len(), pongs);
                    pongs.extend_from_slice(payload);
                }
                Event::Ping(_) => {}
            }
            Ok(())
        });
        tally.flush();
        drained
    }

    /// Does what is due. Returns how long nothing more will be.
    pub(super) fn tend(&mut self) -> Result<Option<Duration>, End> {
        if self.open { self.line.tend() } else { Ok(None) }
    }

    /// Sends requests until the window is full or the socket is.
    pub(super) fn fill(&mut self, frames: &mut Frames, clock: &Clock, tally: &mut Tally) -> Result<(), End> {
        while self.open {
            if self.unsent_offset == 0 && !self.pongs.is_empty() && !self.write_pongs()? {
                return Ok(());
            }
            let queued = (self.requests.0.next() - self.unsent) as usize;
            if !self.stopped {
                self.requests.0.send(frames.count_max().saturating_sub(queued), clock.micros());
            }
            let count = ((self.requests.0.next() - self.unsent) as usize).min(frames.count_max());
            if count == 0 {
                return Ok(());
            }
            let bytes = frames.fill(self.unsent, count).get(self.unsent_offset..).unwrap_or_default();
            let wanted = bytes.len();
            let Some(written) = write(&mut self.line, bytes)? else { return Ok(()) };
            tally.bytes_out += written as u64;
            let written_of_first = self.unsent_offset + written;
            self.unsent += (written_of_first / frames.frame_bytes()) as u64;
            self.unsent_offset = written_of_first % frames.frame_bytes();
            // A short write has filled the socket; when it has space again, that is a new edge.
            if written < wanted {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether all are written.
    fn write_pongs(&mut self) -> Result<bool, End> {
        let bytes = self.pongs.get(self.pongs_offset..).unwrap_or_default();
        let Some(written) = write(&mut self.line, bytes)? else { return Ok(false) };
        self.pongs_offset += written;
        let done = self.pongs_offset == self.pongs.len();
        if done {
            self.pongs.clear();
            self.pongs_offset = 0;
        }
        Ok(done)
    }
}

impl Requests {
    #[inline]
    fn take(&mut self, packet: &Packet<'_>, expected: Expected, clock: &Clock, tally: &mut Tally) {
        let Packet::Data { extcode, route, seq, body } = *packet else { return };
        if seq == 0 && extcode == 0 && self.0.has_seqs() {
            tally.pushes += 1;
            return;
        }
        let sent_at = match self.0.answer(seq) {
            Matched::InOrder { sent_at } => sent_at,
            Matched::Overtaking { sent_at } => {
                tally.reordered += 1;
                sent_at
            }
            Matched::Unknown => {
                tally.bad(format_args!("nothing waits for seq {seq}"));
                return;
            }
        };
        match extcode {
            0 if route != expected.route => tally.bad(format_args!("route {route} instead of {}", expected.route)),
            0 if expected.body_bytes.is_some_and(|bytes| bytes != body.len()) => {
                tally.bad(format_args!("a body of {} bytes that is not the size of the request's", body.len()));
            }
            0 => tally.answered(clock.micros().wrapping_sub(sent_at)),
            1 => match expected.format.decode_error(body) {
                Some((code, _)) => *tally.errors.entry(code).or_default() += 1,
                None => tally.bad(format_args!("an error packet without a code")),
            },
            other => tally.bad(format_args!("extcode {other}")),
        }
    }
}
