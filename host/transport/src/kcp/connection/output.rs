//! Where the protocol core writes its datagrams, and what they tell about it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use super::super::port::Port;
use super::super::segment::{self, PUSH};

/// The core's side: each write is one datagram.
#[derive(Debug)]
pub(super) struct Output(pub(super) Arc<Sent>);

/// What was sent last. Written and read under the connection's lock; atomic, because the core owns the other end.
#[derive(Debug)]
pub(super) struct Sent {
    port: Arc<Port>,
    peer: SocketAddr,
    is_open: AtomicBool,
    next: AtomicU32,
    expected: AtomicU32,
    window: AtomicU16,
}

impl Sent {
    /// Closed: what is written is noted, but not sent.
    pub(super) fn new(port: Arc<Port>, peer: SocketAddr) -> Self {
        let window = AtomicU16::new(port.options().receive_window);
        Self { port, peer, is_open: AtomicBool::new(false), next: AtomicU32::new(0), expected: AtomicU32::new(0), window }
    }

    /// Whether datagrams go out.
    pub(super) fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }

    /// The number of the segment that will be sent next.
    pub(super) fn next(&self) -> u32 {
        self.next.load(Ordering::Relaxed)
    }

    /// The number that the client was told is expected from it.
    pub(super) fn expected(&self) -> u32 {
        self.expected.load(Ordering::Relaxed)
    }

    /// How many segments the client was told that there is room for.
    pub(super) fn window(&self) -> u16 {
        self.window.load(Ordering::Relaxed)
    }
}

impl Write for Output {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        let sent = &self.0;
        for (_, head) in segment::heads(datagram).flatten() {
            if head.command == PUSH && head.number.wrapping_sub(sent.next()).cast_signed() >= 0 {
                sent.next.store(head.number.wrapping_add(1), Ordering::Relaxed);
            }
            sent.expected.store(head.expected, Ordering::Relaxed);
            sent.window.store(head.window, Ordering::Relaxed);
        }
        if sent.is_open.load(Ordering::Relaxed) {
            sent.port.send(datagram, sent.peer);
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
