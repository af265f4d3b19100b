//! What waits to be written to one client, and how much of it may.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use tokio::net::TcpStream;

use crate::CloseReason;

/// The sending side of a connection. Empty and without memory of its own as long as the client reads.
#[derive(Debug)]
pub(crate) struct Outbox {
    chunks: VecDeque<Chunk>,
    packets: usize,
    bytes: usize,
    state: Sending,
}

#[derive(Debug)]
struct Chunk {
    data: Vec<u8>,
    written: usize,
    packets: usize,
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

impl Outbox {
    pub(crate) const fn new() -> Self {
        Self { chunks: VecDeque::new(), packets: 0, bytes: 0, state: Sending::Open }
    }

    pub(crate) const fn state(&self) -> Sending {
        self.state
    }

    /// Writes at once what the socket takes and keeps the rest. True if the connection's task has to look after it.
    pub(crate) fn send(&mut self, socket: &TcpStream, data: &[u8], packets: usize, limits: OutboxLimits) -> bool {
        if self.state != Sending::Open {
            return false;
        }
        let mut written = 0;
        if self.chunks.is_empty() {
            match write(socket, data, &mut written) {
                Ok(()) if written == data.len() => return false,
                Ok(()) => {}
                Err(_) => {
                    self.state = Sending::Closed(CloseReason::Lost);
                    return true;
                }
            }
        }
        let rest = data.get(written..).unwrap_or_default();
        // The share of the packets that is left, or a burst of small ones that was nearly written would count as a whole queue.
        let packets = (packets * rest.len()).div_ceil(data.len().max(1));
        if self.packets + packets > limits.packets || self.bytes + rest.len() > limits.bytes {
            self.abort(CloseReason::SlowReader);
            return true;
        }
        let first = self.chunks.is_empty();
        self.keep(rest.to_vec(), packets);
        first
    }

    fn keep(&mut self, data: Vec<u8>, packets: usize) {
        self.packets += packets;
        self.bytes += data.len();
        self.chunks.push_back(Chunk { data, written: 0, packets });
    }

    /// Takes nothing more; `farewell` is the last that is written.
    pub(crate) fn close(&mut self, reason: CloseReason, farewell: Vec<u8>) {
        if self.state == Sending::Open {
            self.state = Sending::Closing(reason);
            if !farewell.is_empty() {
                self.keep(farewell, 1);
            }
        }
    }

    /// Forgets what waits.
    pub(crate) fn abort(&mut self, reason: CloseReason) {
        self.chunks = VecDeque::new();
        (self.packets, self.bytes) = (0, 0);
        self.state = Sending::Closed(reason);
    }

    /// Writes what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self, socket: &TcpStream) -> io::Result<Flushed> {
        let mut progress = false;
        while let Some(chunk) = self.chunks.front_mut() {
            let before = chunk.written;
            write(socket, chunk.data.get(before..).unwrap_or_default(), &mut chunk.written)?;
            let moved = chunk.written - before;
            progress |= moved > 0;
            self.bytes -= moved;
            if chunk.written < chunk.data.len() {
                return Ok(Flushed::Blocked { progress });
            }
            self.packets -= chunk.packets;
            self.chunks.pop_front();
        }
        self.chunks = VecDeque::new();
        Ok(Flushed::All)
    }
}

/// Writes until all is written or the socket takes no more.
fn write(socket: &TcpStream, data: &[u8], written: &mut usize) -> io::Result<()> {
    let mut rest = data;
    while !rest.is_empty() {
        match socket.try_write(rest) {
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
