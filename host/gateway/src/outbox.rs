//! What waits to be written to one client, and how much of it may.

pub(crate) mod resumption;
mod room;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::task::{Context, Poll};

use bytes::Bytes;
use duet_core::Route;
use duet_transport::Writer;

use crate::retained::Retained;
use crate::{CloseReason, Overflow};

pub(crate) use self::room::{Cause, Limit, Load, OutboxLimits};

/// The sending side of a session. Empty and without memory of its own as long as the client reads.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// `None` while the session is suspended.
    writer: Option<Writer>,
    chunks: VecDeque<Chunk>,
    /// What the client asked for, of all that waits.
    asked: Load,
    /// What others sent, without what the next fields count.
    pushed: Load,
    /// What one call sent, if it was more than there is room for.
    large: Load,
    /// The number of that call, or of the last one of its kind.
    large_call: u64,
    /// What the client missed before it resumed.
    missed: Load,
    /// Bytes that the socket has taken so far.
    accepted: u64,
    state: Sending,
    /// Packets were added since the last flush.
    added: bool,
    /// The socket took no more at the last flush. The task of the connection tries again when it does.
    blocked: bool,
    /// Sent packets that may have to be sent again, if the client asked for it.
    retained: Option<Box<Retained>>,
}

#[derive(Debug)]
struct Chunk {
    data: Bytes,
    written: usize,
    packets: usize,
    cause: Cause,
    /// Its number, if it is a packet that is kept.
    number: Option<u64>,
    /// A later packet of this route takes its place as long as nothing of it is written.
    latest: Option<Route>,
}

/// Whether more may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    Open,
    /// Nothing more is taken; what waits is still written.
    Closing(CloseReason),
    /// What waits is no longer of use.
    Closed(CloseReason),
}

/// What became of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing waits.
    All,
    /// The client has to read first.
    Blocked,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Written, or kept behind others that somebody already looks after.
    Done,
    /// Added as the first since the last flush: somebody has to flush.
    Added,
    /// The connection's task has to look after it.
    Wake,
    /// It was dropped, or took another's place, as its route's policy says.
    Dropped,
    /// It found no room, and the connection ends.
    Overflowed(Limit),
}

/// Packets that a multicast may add before it tries to write what waits.
const UNTRIED_PACKETS: usize = 64;
/// Pieces that one write takes.
const PIECES: usize = 32;

impl Outbox {
    pub(crate) const fn new(writer: Writer) -> Self {
        Self {
            writer: Some(writer),
            chunks: VecDeque::new(),
            asked: Load::NOTHING,
            pushed: Load::NOTHING,
            large: Load::NOTHING,
            large_call: 0,
            missed: Load::NOTHING,
            accepted: 0,
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
    pub(crate) fn send(&mut self, data: &[u8], packets: usize, cause: Cause, limits: &OutboxLimits) -> Taken {
        if self.state != Sending::Open {
            return Taken::Done;
        }
        let Some(writer) = &self.writer else { return Taken::Done };
        let mut written = 0;
        if self.chunks.is_empty() {
            let wrote = write(writer, data, &mut written);
            self.accepted += written as u64;
            match wrote {
                Ok(()) if written == data.len() => return if matches!(writer.try_flush(), Ok(true)) { Taken::Done } else { Taken::Wake },
                Ok(()) => {}
                Err(_) => return self.lost(),
            }
        }
        let rest = data.get(written..).unwrap_or_default();
        // Only the share of the packets that is left counts: otherwise a burst of small ones that was nearly written would fill a queue.
        let packets = (packets * rest.len()).div_ceil(data.len().max(1));
        if let Err(refused) = self.admit(cause, packets, rest.len(), limits) {
            return refused;
        }
        let first = self.chunks.is_empty();
        let data = Bytes::copy_from_slice(rest);
        self.keep(Chunk { data, written: 0, packets, cause, number: None, latest: None });
        if first { Taken::Wake } else { Taken::Done }
    }

    /// Adds one packet of a route without writing it: [`Outbox::flush`] follows. If much is waiting, it tries to write that first.
    pub(crate) fn add(&mut self, packet: &Bytes, route: Route, overflow: Overflow, cause: Cause, limits: &OutboxLimits) -> Taken {
        match self.state {
            Sending::Closing(reason) | Sending::Closed(reason) if !reason.is_loss() => return Taken::Done,
            Sending::Open if self.writer.is_some() => {}
            _ => return self.miss(packet, route, overflow),
        }
        if overflow == Overflow::KeepLatest
            && let Some(chunk) = self.chunks.iter_mut().rev().find(|c| c.written == 0 && c.latest == Some(route))
        {
            let (before, cause) = (chunk.data.len(), chunk.cause);
            chunk.data = packet.clone();
            if let (Some(retained), Some(number)) = (&mut self.retained, chunk.number) {
                retained.replace(number, packet);
            }
            let load = self.load(cause);
            load.bytes = load.bytes + packet.len() - before;
            return Taken::Dropped;
        }
        // Whether the socket has only now turned out to be full: then the task has to wait for it.
        let mut full = false;
        if self.waiting().packets >= UNTRIED_PACKETS && !self.blocked {
            match self.flush() {
                Ok(flushed) => full = flushed != Flushed::All,
                Err(_) => {
                    let taken = self.lost();
                    self.miss(packet, route, overflow);
                    return taken;
                }
            }
        }
        if overflow == Overflow::Close {
            if let Err(refused) = self.admit(cause, 1, packet.len(), limits) {
                self.miss(packet, route, overflow);
                return refused;
            }
        } else if self.waiting().is_over(1, packet.len(), limits) {
            return if full { Taken::Wake } else { Taken::Dropped };
        }
        let latest = (overflow == Overflow::KeepLatest).then_some(route);
        let number = self.retained.as_mut().map(|retained| retained.push(packet.clone(), latest));
        self.keep(Chunk { data: packet.clone(), written: 0, packets: 1, cause, number, latest });
        match (full, std::mem::replace(&mut self.added, true)) {
            (true, _) => Taken::Wake,
            (false, true) => Taken::Done,
            (false, false) => Taken::Added,
        }
    }

    /// Lets bytes in, or ends the connection.
    ///
    /// A call is judged by what waited before it, and all of what it pushes is let in: up to 12 MiB. So a client that reads can be sent as
    /// much as a call may make, and what others send it meanwhile has the room that it always has. Only one such call may wait at a time.
    /// Before it is decided that a client does not read, its socket is tried again.
    fn admit(&mut self, cause: Cause, packets: usize, bytes: usize, limits: &OutboxLimits) -> Result<(), Taken> {
        let limit = match cause {
            Cause::Asked if self.asked.cost() + bytes <= limits.asked_bytes => return Ok(()),
            Cause::Missed => return Ok(()),
            Cause::Asked => Limit::Asked(limits.asked_bytes),
            Cause::Call(call) if call == self.large_call || !self.pushed.is_over(packets, bytes, limits) => return Ok(()),
            Cause::Call(call) => {
                if self.insist().is_err() {
                    return Err(self.lost());
                }
                if !self.pushed.is_over(packets, bytes, limits) || self.enlarge(call, limits) || !self.pushed.is_over(1, 1, limits) {
                    return Ok(());
                }
                if self.pushed.packets >= limits.pushed.packets {
                    Limit::Packets(limits.pushed.packets)
                } else {
                    Limit::Bytes(limits.pushed.bytes)
                }
            }
        };
        self.abort(CloseReason::SlowReader);
        Err(Taken::Overflowed(limit))
    }

    /// Makes a call the large one. Not while another one waits, and not if there was no room before it.
    fn enlarge(&mut self, call: u64, limits: &OutboxLimits) -> bool {
        let mut large = Load::NOTHING;
        for chunk in self.chunks.iter().filter(|chunk| chunk.cause == Cause::Call(call)) {
            large.packets += chunk.packets;
            large.bytes += chunk.data.len() - chunk.written;
        }
        let others = Load { packets: self.pushed.packets - large.packets, bytes: self.pushed.bytes - large.bytes };
        if self.large != Load::NOTHING || others.is_over(1, 1, limits) {
            return false;
        }
        (self.large_call, self.large, self.pushed) = (call, large, others);
        true
    }

    /// What a packet of this cause counts as.
    fn load(&mut self, cause: Cause) -> &mut Load {
        match cause {
            Cause::Asked => &mut self.asked,
            Cause::Call(call) if call == self.large_call => &mut self.large,
            Cause::Call(_) => &mut self.pushed,
            Cause::Missed => &mut self.missed,
        }
    }

    /// All that waits.
    pub(crate) const fn waiting(&self) -> Load {
        let (asked, pushed, large, missed) = (self.asked, self.pushed, self.large, self.missed);
        Load {
            packets: asked.packets + pushed.packets + large.packets + missed.packets,
            bytes: asked.bytes + pushed.bytes + large.bytes + missed.bytes,
        }
    }

    /// What its client asked for and has not taken.
    pub(crate) const fn asked(&self) -> Load {
        self.asked
    }

    /// A number that grows with whatever the client takes: bytes that the socket has taken so far, and, if they are encrypted, those that
    /// went on from there.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted + self.writer.as_ref().map_or(0, Writer::passed_on)
    }

    fn keep(&mut self, chunk: Chunk) {
        let load = self.load(chunk.cause);
        load.packets += chunk.packets;
        load.bytes += chunk.data.len();
        self.chunks.push_back(chunk);
    }

    /// Notes that the socket took bytes of what is in front.
    fn advance(&mut self, mut moved: usize) {
        self.accepted += moved as u64;
        while let Some(chunk) = self.chunks.front_mut() {
            let (rest, packets, cause) = (chunk.data.len() - chunk.written, chunk.packets, chunk.cause);
            if moved < rest {
                chunk.written += moved;
                self.load(cause).bytes -= moved;
                return;
            }
            moved -= rest;
            let load = self.load(cause);
            load.bytes -= rest;
            load.packets -= packets;
            self.chunks.pop_front();
        }
    }

    /// Writes what the socket takes even if nobody has been told yet that it takes more.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn insist(&mut self) -> io::Result<()> {
        while let Some(writer) = &self.writer {
            // With nothing left, what the writer itself holds still goes on.
            let front = self.chunks.front().and_then(|front| front.data.get(front.written..));
            match writer.insist(front.unwrap_or_default()) {
                Ok(0) => break,
                Ok(moved) => self.advance(moved),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Takes nothing more; `farewell` is written last.
    pub(crate) fn close(&mut self, reason: CloseReason, farewell: Vec<u8>) {
        if self.state == Sending::Open {
            if let Some(retained) = &mut self.retained {
                retained.set_unwritten(retained.next());
            }
            self.state = Sending::Closing(reason);
            if !farewell.is_empty() {
                self.keep(Chunk { data: farewell.into(), written: 0, packets: 1, cause: Cause::Asked, number: None, latest: None });
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

    /// The session is over. Returns its side of the socket, which is closed by dropping it, without waiting for anybody: after the locks
    /// are free, because closing is a system call.
    #[must_use = "a system call closes it, which takes no lock"]
    pub(crate) fn hang_up(&mut self, reason: CloseReason) -> Option<Writer> {
        self.abort(reason);
        self.writer.take()
    }

    fn forget(&mut self) {
        self.note_unwritten();
        self.chunks = VecDeque::new();
        (self.asked, self.pushed, self.large, self.missed) = (Load::NOTHING, Load::NOTHING, Load::NOTHING, Load::NOTHING);
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
        while let Some(writer) = self.writer.as_ref().filter(|_| !self.chunks.is_empty()) {
            match write_front(writer, &self.chunks) {
                Ok(moved) => self.advance(moved),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Flushed::Blocked),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.chunks.capacity() > 0 {
            self.chunks = VecDeque::new();
        }
        let flushed = self.writer.as_ref().map_or(Ok(true), Writer::try_flush)?;
        Ok(if flushed { Flushed::All } else { Flushed::Blocked })
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
