//! What waits to be written to one client, and how much of it may.

mod resumption;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::task::{Context, Poll};

use bytes::Bytes;
use duet_core::Route;
use duet_transport::Writer;

pub(crate) use self::resumption::Stuck;
use crate::CloseReason;
use crate::retained::Retained;

/// The sending side of a connection. Empty and without memory of its own as long as the client reads.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// `None` while the session is suspended.
    writer: Option<Writer>,
    chunks: VecDeque<Chunk>,
    packets: usize,
    bytes: usize,
    state: Sending,
    /// Packets were added since the last flush.
    added: bool,
    /// The socket took no more at the last flush. The connection's task tries again when it does.
    blocked: bool,
    /// Sent packets that may have to be sent again, if the client asked for it.
    retained: Option<Box<Retained>>,
}

#[derive(Debug)]
struct Chunk {
    data: Bytes,
    written: usize,
    packets: usize,
    /// Its number, if it is a packet that is kept.
    number: Option<u64>,
    /// A later packet of this route takes its place as long as it is not written.
    latest: Option<Route>,
}

/// Whether more may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    Open,
    /// Nothing more is taken; what waits is still written.
    Closing(CloseReason),
    /// What waits is of no use any more.
    Closed(CloseReason),
}

/// What became of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing waits.
    All,
    /// The client has to read first. Whether some bytes went out.
    Blocked { progress: bool },
}

/// Most that may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxLimits {
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
}

/// What is done with a packet for a client that does not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Its connection is closed once the queue is full.
    #[default]
    Close,
    /// A packet that finds the queue full is dropped.
    DropNewest,
    /// A packet takes the place of the one of the same route that still waits. One that finds the queue full is dropped.
    KeepLatest,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Written, or kept behind others that somebody looks after already.
    Done,
    /// Added as the first since the last flush, which somebody has to do.
    Added,
    /// The connection's task has to look after it.
    Wake,
    /// It was dropped, or took another's place, as its route's policy says.
    Dropped,
}

/// Packets that a multicast may add before what waits is tried again.
const UNTRIED_PACKETS: usize = 64;
/// Pieces that one write takes.
const PIECES: usize = 32;

impl Outbox {
    pub(crate) const fn new(writer: Writer) -> Self {
        Self {
            writer: Some(writer),
            chunks: VecDeque::new(),
            packets: 0,
            bytes: 0,
            state: Sending::Open,
            added: false,
            blocked: false,
            retained: None,
        }
    }

    pub(crate) const fn state(&self) -> Sending {
        self.state
    }

    /// Writes whole packets at once as far as the socket takes them, and keeps the rest.
    pub(crate) fn send(&mut self, data: &[u8], packets: usize, limits: OutboxLimits) -> Taken {
        if self.state != Sending::Open {
            return Taken::Done;
        }
        let Some(writer) = &self.writer else { return Taken::Done };
        let mut written = 0;
        if self.chunks.is_empty() {
            match write(writer, data, &mut written) {
                Ok(()) if written == data.len() => return if matches!(writer.try_flush(), Ok(true)) { Taken::Done } else { Taken::Wake },
                Ok(()) => {}
                Err(_) => return self.lost(),
            }
        }
        let rest = data.get(written..).unwrap_or_default();
        // The share of the packets that is left, or a burst of small ones that was nearly written would count as a whole queue.
        let packets = (packets * rest.len()).div_ceil(data.len().max(1));
        if self.is_over(packets, rest.len(), limits) {
            self.abort(CloseReason::SlowReader);
            return Taken::Wake;
        }
        let first = self.chunks.is_empty();
        self.keep(Chunk { data: Bytes::copy_from_slice(rest), written: 0, packets, number: None, latest: None });
        if first { Taken::Wake } else { Taken::Done }
    }

    /// Adds one packet of a route without writing it: [`Outbox::flush`] follows. What waits is tried first when it has become much.
    pub(crate) fn add(&mut self, packet: &Bytes, route: Route, overflow: Overflow, limits: OutboxLimits) -> Taken {
        match self.state {
            Sending::Closing(reason) | Sending::Closed(reason) if !reason.is_loss() => return Taken::Done,
            Sending::Open if self.writer.is_some() => {}
            _ => return self.miss(packet, route, overflow),
        }
        if overflow == Overflow::KeepLatest
            && let Some(chunk) = self.chunks.iter_mut().find(|c| c.written == 0 && c.latest == Some(route))
        {
            self.bytes = self.bytes + packet.len() - chunk.data.len();
            chunk.data = packet.clone();
            if let (Some(retained), Some(number)) = (&mut self.retained, chunk.number) {
                retained.replace(number, packet);
            }
            return Taken::Dropped;
        }
        // Whether the socket is full only now: then the task has to wait for it.
        let mut full = false;
        if self.packets >= UNTRIED_PACKETS && !self.blocked {
            match self.flush() {
                Ok(flushed) => full = flushed != Flushed::All,
                Err(_) => {
                    let taken = self.lost();
                    self.miss(packet, route, overflow);
                    return taken;
                }
            }
        }
        if self.is_over(1, packet.len(), limits) {
            if overflow == Overflow::Close {
                self.abort(CloseReason::SlowReader);
                self.miss(packet, route, overflow);
                return Taken::Wake;
            }
            return if full { Taken::Wake } else { Taken::Dropped };
        }
        let latest = (overflow == Overflow::KeepLatest).then_some(route);
        let number = self.retained.as_mut().map(|retained| retained.push(packet.clone(), latest));
        self.keep(Chunk { data: packet.clone(), written: 0, packets: 1, number, latest });
        match (full, std::mem::replace(&mut self.added, true)) {
            (true, _) => Taken::Wake,
            (false, true) => Taken::Done,
            (false, false) => Taken::Added,
        }
    }

    fn is_over(&self, packets: usize, bytes: usize, limits: OutboxLimits) -> bool {
        self.packets + packets > limits.packets || self.bytes + bytes > limits.bytes
    }

    fn keep(&mut self, chunk: Chunk) {
        self.packets += chunk.packets;
        self.bytes += chunk.data.len();
        self.chunks.push_back(chunk);
    }

    /// Takes nothing more; `farewell` is the last that is written.
    pub(crate) fn close(&mut self, reason: CloseReason, farewell: Vec<u8>) {
        if self.state == Sending::Open {
            if let Some(retained) = &mut self.retained {
                retained.set_unwritten(retained.next());
            }
            self.state = Sending::Closing(reason);
            if !farewell.is_empty() {
                self.keep(Chunk { data: farewell.into(), written: 0, packets: 1, number: None, latest: None });
            }
        }
    }

    fn lost(&mut self) -> Taken {
        self.abort(CloseReason::Lost);
        Taken::Wake
    }

    /// Forgets what waits.
    pub(crate) fn abort(&mut self, reason: CloseReason) {
        self.forget();
        self.state = Sending::Closed(reason);
    }

    /// The session is over: its socket is closed without waiting for anybody.
    pub(crate) fn hang_up(&mut self, reason: CloseReason) {
        self.abort(reason);
        self.writer = None;
    }

    fn forget(&mut self) {
        self.note_unwritten();
        self.chunks = VecDeque::new();
        (self.packets, self.bytes) = (0, 0);
        (self.added, self.blocked) = (false, false);
    }

    /// Whether the task waits for the socket to take more.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Writes what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> io::Result<Flushed> {
        self.added = false;
        let flushed = self.write_waiting()?;
        self.blocked = flushed != Flushed::All;
        Ok(flushed)
    }

    fn write_waiting(&mut self) -> io::Result<Flushed> {
        let Some(writer) = &self.writer else { return Ok(Flushed::All) };
        let mut progress = false;
        while !self.chunks.is_empty() {
            match write_front(writer, &self.chunks) {
                Ok(moved) => {
                    progress = true;
                    advance(&mut self.chunks, moved, &mut self.packets);
                    self.bytes -= moved;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Flushed::Blocked { progress }),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.chunks.capacity() > 0 {
            self.chunks = VecDeque::new();
        }
        Ok(if writer.try_flush()? { Flushed::All } else { Flushed::Blocked { progress } })
    }

    /// Ready when trying to write may help.
    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_ref().map_or(Poll::Pending, |writer| writer.poll_write_ready(cx))
    }

    /// Ends our side of the socket.
    pub(crate) fn shutdown(&self) -> io::Result<()> {
        self.writer.as_ref().map_or(Ok(()), Writer::shutdown)
    }
}

/// One write of what is in front.
fn write_front(writer: &Writer, chunks: &VecDeque<Chunk>) -> io::Result<usize> {
    let piece = |chunk: &'_ Chunk| chunk.written;
    let moved = match chunks.front() {
        Some(only) if chunks.len() == 1 => writer.try_write(only.data.get(piece(only)..).unwrap_or_default())?,
        _ => {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let mut count = 0;
            for (slot, chunk) in pieces.iter_mut().zip(chunks) {
                *slot = IoSlice::new(chunk.data.get(piece(chunk)..).unwrap_or_default());
                count += 1;
            }
            writer.try_write_vectored(pieces.get(..count).unwrap_or_default())?
        }
    };
    if moved == 0 { Err(ErrorKind::WriteZero.into()) } else { Ok(moved) }
}

/// Takes written bytes off the front.
fn advance(chunks: &mut VecDeque<Chunk>, mut moved: usize, packets: &mut usize) {
    while let Some(chunk) = chunks.front_mut() {
        let rest = chunk.data.len() - chunk.written;
        if moved < rest {
            chunk.written += moved;
            return;
        }
        moved -= rest;
        *packets -= chunk.packets;
        chunks.pop_front();
    }
}

/// Writes until all is written or the socket takes no more.
fn write(writer: &Writer, data: &[u8], written: &mut usize) -> io::Result<()> {
    let mut rest = data;
    while !rest.is_empty() {
        match writer.try_write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => {
                *written += n;
                rest = rest.get(n..).unwrap_or_default();
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
