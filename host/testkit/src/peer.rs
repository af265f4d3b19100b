//! A client that writes whatever bytes it is told to, and reads with deadlines.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::frame::{frame, opcode, read_frame};
use crate::link::Link;
use crate::wire::{Carrier, Message, Wire};

/// No answer may take longer, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A connection of a client, written by hand.
#[derive(Debug)]
pub struct Peer {
    link: Link,
    wire: Wire,
    received: Vec<u8>,
    last_seq: i16,
}

impl Peer {
    pub(crate) fn over(link: Link, wire: Wire) -> Self {
        Self { link, wire, received: Vec::new(), last_seq: 0 }
    }

    /// The same connection again, to write from another thread.
    pub fn second(&self) -> Self {
        Self::over(Link::Tcp(self.stream().try_clone().expect("a descriptor")), self.wire)
    }

    /// The layout of its packets.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// The tcp socket.
    pub fn stream(&self) -> &TcpStream {
        self.link.tcp()
    }

    /// On kcp: begins a session and proves the address, and says nothing that the server would take for a packet.
    ///
    /// # Panics
    /// If the server does not greet, or this is not kcp.
    pub fn prove(&mut self) {
        let Link::Kcp(kcp) = &mut self.link else { panic!("only kcp asks for a proof") };
        kcp.prove(&self.wire.heartbeat()).expect("a greeting");
    }

    /// Writes bytes as they are. The server may have closed the connection already: what it said can still be read.
    pub fn write(&mut self, bytes: &[u8]) {
        let _closed = self.try_write(bytes);
    }

    /// Writes bytes as they are. False if the server has closed the connection.
    ///
    /// # Panics
    /// If the server does not take them.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        match self.link.write_all(bytes).and_then(|()| self.link.flush()) {
            Ok(()) => true,
            Err(e) if is_closed(e.kind()) => false,
            Err(e) => panic!("the server does not read: {e}"),
        }
    }

    /// Sends a packet: as it is on tcp, as one binary message on ws.
    pub fn send(&mut self, packet: &[u8]) {
        match self.wire.carrier {
            Carrier::Tcp => self.write(packet),
            Carrier::Ws => self.write(&frame(opcode::BINARY, packet)),
        }
    }

    /// Sends a message.
    pub fn send_data(&mut self, route: i16, seq: i16, body: &[u8]) {
        self.send(&self.wire.data(route, seq, body));
    }

    /// Tells the server that nothing more will come.
    pub fn finish(&mut self) {
        self.link.finish();
    }

    /// What comes next.
    ///
    /// # Panics
    /// If nothing does.
    #[allow(clippy::should_implement_trait, reason = "an iterator ends; this waits, or fails the test")]
    pub fn next(&mut self) -> Message {
        self.next_within(PATIENCE).unwrap_or_else(|| panic!("nothing came within {PATIENCE:?}"))
    }

    /// What comes next, if something does in time.
    pub fn next_within(&mut self, timeout: Duration) -> Option<Message> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(message) = self.take() {
                return Some(message);
            }
            if self.fill(deadline)? == 0 {
                return Some(Message::Closed(None));
            }
        }
    }

    /// The next bytes as they came, this many of them.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        while self.received.len() < count {
            let came = self.fill(deadline).is_some_and(|bytes| bytes > 0);
            assert!(came, "only {} of {count} bytes came: {:02x?}", self.received.len(), self.received);
        }
        self.received.drain(..count).collect()
    }

    /// Reads until the connection has ended, and says with which ws close code.
    ///
    /// # Panics
    /// If it does not end.
    pub fn closed(&mut self) -> Option<u16> {
        self.closed_within(PATIENCE).expect("the connection ends")
    }

    /// The same with a deadline: `None` if it has not ended, `Some(None)` if it has without a close code.
    #[allow(clippy::option_option, reason = "whether, and how")]
    pub fn closed_within(&mut self, timeout: Duration) -> Option<Option<u16>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Message::Closed(code) = self.next_within(deadline.saturating_duration_since(Instant::now()))? {
                return Some(code);
            }
        }
    }

    /// Sends a request with a seq of its own and waits for its answer. Pushes and heartbeats before it are skipped.
    ///
    /// # Errors
    /// What came instead of a reply: an error packet or the end of the connection.
    pub fn call(&mut self, route: i16, body: &[u8]) -> Result<Vec<u8>, Message> {
        self.last_seq = if self.last_seq == i16::MAX { 1 } else { self.last_seq + 1 };
        let sent = self.last_seq;
        self.send_data(route, sent, body);
        loop {
            match self.next() {
                Message::Data { seq: 0, .. } | Message::Heartbeat(_) => {}
                Message::Data { route: from, seq, body } => {
                    assert_eq!((from, seq), (route, sent), "an answer to another request");
                    return Ok(body);
                }
                other => return Err(other),
            }
        }
    }

    /// The head of an HTTP answer, or what there was of it before the connection ended.
    pub fn http_answer(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(end) = self.received.windows(4).position(|w| w == b"\r\n\r\n") {
                return String::from_utf8_lossy(&self.received.drain(..end + 4).collect::<Vec<_>>()).into_owned();
            }
            match self.fill(deadline) {
                Some(0) => return String::from_utf8_lossy(&self.received).into_owned(),
                Some(_) => {}
                None => panic!("no HTTP answer within {PATIENCE:?}, only {:?}", String::from_utf8_lossy(&self.received)),
            }
        }
    }

    /// The next message, if it was received as a whole. Pongs are skipped.
    fn take(&mut self) -> Option<Message> {
        while let Carrier::Ws = self.wire.carrier
            && let Some((opcode::PONG, _, bytes)) = read_frame(&self.received)
        {
            self.received.drain(..bytes);
        }
        let (message, bytes) = match self.wire.carrier {
            Carrier::Tcp => {
                let bytes = self.wire.whole(&self.received)?;
                (self.wire.read(&self.received[..bytes]), bytes)
            }
            Carrier::Ws => match read_frame(&self.received)? {
                (opcode::BINARY, packet, bytes) => (self.wire.read(packet), bytes),
                (opcode::CLOSE, payload, bytes) => (Message::Closed(payload.first_chunk().map(|c| u16::from_be_bytes(*c))), bytes),
                (other, _, _) => panic!("a frame with the opcode {other}"),
            },
        };
        self.received.drain(..bytes);
        Some(message)
    }

    /// Reads once. `None` if nothing came in time, 0 at the end.
    fn fill(&mut self, deadline: Instant) -> Option<usize> {
        let mut buffer = [0; 16 << 10];
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.link.set_read_timeout(left);
        match self.link.read(&mut buffer) {
            Ok(bytes) => {
                self.received.extend_from_slice(&buffer[..bytes]);
                Some(bytes)
            }
            Err(e) if is_closed(e.kind()) => Some(0),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(e) => panic!("reading failed: {e}"),
        }
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted | ErrorKind::NotConnected)
}
