//! One connection of a run: reads and checks answers, keeps its window full.

use std::io::{self, ErrorKind, Read, Write};

use duet_codec::{Carrier, Cut, Format, Packet};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::LoadOptions;
use super::dial::Dialled;
use super::frames::Frames;
use super::outstanding::{Matched, Outstanding};
use super::tally::{Clock, Tally};
use super::ws;

/// Bytes taken from the system in one read.
const READ_BYTES: usize = 256 * 1024;
/// Pongs that wait to be written; a server that pings faster than it reads gets no more.
const PONGS_BYTES_MAX: usize = 4 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the server ended the stream")]
    Stream,
    #[error("the server closed with ws code {0}")]
    CloseFrame(u16),
    #[error("the server broke the format: {0}")]
    Format(String),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What all connections read into and check against, one after the other.
pub(super) struct Input {
    buffer: Vec<u8>,
    format: Format,
    carrier: Carrier,
    route: i32,
    body_bytes: Option<usize>,
}

pub(super) struct Connection {
    socket: TcpStream,
    open: bool,
    stopped: bool,
    /// The part of a packet that was read without its end.
    held: Vec<u8>,
    outstanding: Outstanding,
    /// The number of the first request that is not wholly written, and how much of it is.
    unsent: u64,
    unsent_offset: usize,
    pongs: Vec<u8>,
    pongs_offset: usize,
}

impl Input {
    pub(super) fn new(options: &LoadOptions) -> Self {
        let whole = options.format.packet_bytes_max() + ws::HEADER_BYTES_MAX;
        Self {
            buffer: vec![0; READ_BYTES + whole],
            format: options.format,
            carrier: options.endpoint.transport().carrier(),
            route: options.route,
            body_bytes: options.same_size.then(|| options.body.bytes()),
        }
    }
}

impl Connection {
    pub(super) fn new(dialled: Dialled, registry: &Registry, token: Token, frames: &Frames, window: usize) -> io::Result<Self> {
        let Dialled { mut socket, received } = dialled;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            socket,
            open: true,
            stopped: false,
            held: received,
            outstanding: Outstanding::new(window, frames.seq_max()),
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
        self.open && self.outstanding.waiting() > 0
    }

    /// Requests that had no answer.
    pub(super) fn unanswered(&self) -> u64 {
        self.outstanding.lost() + self.outstanding.waiting() as u64
    }

    /// Forgets the socket. Returns how many connections that closed: 1, or 0 if it was closed before.
    pub(super) fn shut(&mut self, registry: &Registry) -> usize {
        // The socket is closed by the server already; there is nobody to tell.
        drop(registry.deregister(&mut self.socket));
        drop(self.socket.shutdown(std::net::Shutdown::Both));
        usize::from(std::mem::take(&mut self.open))
    }

    /// Reads all there is.
    pub(super) fn drain(&mut self, input: &mut Input, clock: &mut Clock, tally: &mut Tally) -> Result<(), End> {
        if !self.open {
            return Ok(());
        }
        loop {
            let held = self.held.len();
            let Some((front, space)) = input.buffer.split_at_mut_checked(held) else {
                return Err(End::Format("more than a packet without an end".to_owned()));
            };
            let count = match self.socket.read(space) {
                Ok(0) => return Err(End::Stream),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            // A read that leaves space has emptied the socket; what comes later is a new edge.
            let emptied = count < space.len();
            front.copy_from_slice(&self.held);
            clock.tick();
            tally.bytes_in += count as u64;
            self.held.clear();
            self.take_packets(input, held + count, clock, tally)?;
            tally.flush();
            if emptied {
                return Ok(());
            }
        }
    }

    /// Checks the whole packets in the first `filled` bytes of the buffer and holds the rest back.
    fn take_packets(&mut self, input: &Input, filled: usize, clock: &Clock, tally: &mut Tally) -> Result<(), End> {
        let mut rest = input.buffer.get(..filled).unwrap_or_default();
        let broken = |error: &dyn std::fmt::Display| End::Format(error.to_string());
        loop {
            let (packet, behind) = match input.carrier {
                Carrier::Stream => {
                    let Cut::Packet(size) = input.format.cut(rest).map_err(|error| broken(&error))? else { break };
                    let Some(parts) = rest.split_at_checked(size) else { break };
                    parts
                }
                Carrier::Message => {
                    let Some(frame) = ws::cut(rest, input.format.packet_bytes_max()).map_err(|error| broken(&error))? else { break };
                    let behind = rest.get(frame.payload.end..).unwrap_or_default();
                    let payload = rest.get(frame.payload).unwrap_or_default();
                    if frame.kind != ws::Kind::Binary {
                        rest = behind;
                        self.take_control(frame.kind, payload)?;
                        continue;
                    }
                    (payload, behind)
                }
            };
            rest = behind;
            self.take_packet(input, packet, clock, tally)?;
        }
        self.held.extend_from_slice(rest);
        Ok(())
    }

    fn take_packet(&mut self, input: &Input, packet: &[u8], clock: &Clock, tally: &mut Tally) -> Result<(), End> {
        let decoded = input.format.decode(input.carrier, packet).map_err(|error| End::Format(error.to_string()))?;
        let Packet::Data { extcode, route, seq, body } = decoded else { return Ok(()) };
        if seq == 0 && extcode == 0 && self.outstanding.has_seqs() {
            tally.pushes += 1;
            return Ok(());
        }
        let sent_at = match self.outstanding.answer(seq) {
            Matched::InOrder { sent_at } => sent_at,
            Matched::Overtaking { sent_at } => {
                tally.reordered += 1;
                sent_at
            }
            Matched::Unknown => {
                tally.bad(format_args!("nothing waits for seq {seq}"));
                return Ok(());
            }
        };
        match extcode {
            0 if route != input.route => tally.bad(format_args!("route {route} instead of {}", input.route)),
            0 if input.body_bytes.is_some_and(|bytes| bytes != body.len()) => {
                tally.bad(format_args!("a body of {} bytes that is not the size of the request's", body.len()));
            }
            0 => tally.answered(clock.micros().wrapping_sub(sent_at)),
            1 => match input.format.decode_error(body) {
                Some((code, _)) => *tally.errors.entry(code).or_default() += 1,
                None => tally.bad(format_args!("an error packet without a code")),
            },
            other => tally.bad(format_args!("extcode {other}")),
        }
        Ok(())
    }

    fn take_control(&mut self, kind: ws::Kind, payload: &[u8]) -> Result<(), End> {
        match kind {
            ws::Kind::Close => {
                // RFC 6455: 1005 stands for a close frame without a code.
                Err(End::CloseFrame(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))))
            }
            ws::Kind::Ping if self.pongs.len() < PONGS_BYTES_MAX => {
                ws::put_header(ws::PONG, payload.len(), &mut self.pongs);
                self.pongs.extend_from_slice(payload);
                Ok(())
            }
            ws::Kind::Ping | ws::Kind::Pong | ws::Kind::Binary => Ok(()),
        }
    }

    /// Sends requests until the window is full or the socket is.
    pub(super) fn fill(&mut self, frames: &mut Frames, clock: &Clock, tally: &mut Tally) -> Result<(), End> {
        while self.open {
            if self.unsent_offset == 0 && !self.pongs.is_empty() && !self.write_pongs()? {
                return Ok(());
            }
            let queued = (self.outstanding.next() - self.unsent) as usize;
            if !self.stopped {
                self.outstanding.send(frames.count_max().saturating_sub(queued), clock.micros());
            }
            let count = ((self.outstanding.next() - self.unsent) as usize).min(frames.count_max());
            if count == 0 {
                return Ok(());
            }
            let bytes = frames.fill(self.unsent, count).get(self.unsent_offset..).unwrap_or_default();
            let wanted = bytes.len();
            let Some(written) = write(&mut self.socket, bytes)? else { return Ok(()) };
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
        let Some(written) = write(&mut self.socket, bytes)? else { return Ok(false) };
        self.pongs_offset += written;
        let done = self.pongs_offset == self.pongs.len();
        if done {
            self.pongs.clear();
            self.pongs_offset = 0;
        }
        Ok(done)
    }
}

/// `None` if the socket takes nothing now.
fn write(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<Option<usize>> {
    loop {
        match socket.write(bytes) {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
