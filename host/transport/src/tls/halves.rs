//! The two directions of a TLS connection. They share its keys, and the sockets tell them when to go on.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use duet_core::Mutex;
use rustls::ServerConnection;
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Most that is read from a socket at once. Shared by all connections of a thread. What stays with a connection is rustls's: the
/// beginning of an unfinished record, in a buffer of 4 KiB that grows to 18 KiB under large records and shrinks at the next read.
const CIPHERTEXT_BYTES: usize = 32 << 10;

thread_local! {
    static CIPHERTEXT: RefCell<Box<[u8]>> = RefCell::new(vec![0; CIPHERTEXT_BYTES].into_boxed_slice());
}

/// A connection whose TLS handshake is done; a WebSocket handshake may follow. Then it becomes a [`crate::Stream`].
pub type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// What a client sends over TLS.
#[derive(Debug)]
pub struct TlsReader {
    tcp: OwnedReadHalf,
    keys: Keys,
}

/// What a client gets over TLS.
#[derive(Debug)]
pub struct TlsWriter {
    tcp: OwnedWriteHalf,
    keys: Keys,
    /// Bytes of ciphertext that the socket took.
    passed_on: AtomicU64,
}

/// Locked only for as long as it takes to encrypt or decrypt what is there; nobody waits for the network while holding it.
type Keys = Arc<Mutex<ServerConnection>>;

/// A socket as rustls writes to it.
struct Socket<'a> {
    tcp: &'a TcpStream,
    /// Counts what it took.
    taken: u64,
    /// The socket itself is asked, even if nobody has been told that it takes something.
    insists: bool,
}

/// Takes a connection apart after its handshake.
pub(crate) fn split(stream: TlsStream) -> (TlsReader, TlsWriter) {
    let (tcp, connection) = stream.into_inner();
    let (read, write) = tcp.into_split();
    let keys = Keys::new(Mutex::new(connection));
    (TlsReader { tcp: read, keys: Arc::clone(&keys) }, TlsWriter { tcp: write, keys, passed_on: AtomicU64::new(0) })
}

impl TlsReader {
    /// Reads what is there. Nothing read is the end: the client said so, or its socket ended without a word. The latter is not an error
    /// here, because game clients vanish, and nothing can be cut off unseen: packets have a size.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while buf.filled().len() == before && !take_plaintext(&mut self.keys.lock(), buf)? {
            let tcp_ended = CIPHERTEXT.with_borrow_mut(|ciphertext| {
                // Never more than `buf` has room for: what does not fit is then less than one record, and rustls holds that much (16 KiB).
                let room = ciphertext.len().min(buf.remaining());
                let mut input = ReadBuf::new(ciphertext.get_mut(..room).unwrap_or_default());
                ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut input))?;
                self.decrypt(input.filled(), buf)?;
                Poll::Ready(io::Result::Ok(input.filled().is_empty()))
            });
            if ready!(tcp_ended)? {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        self.tcp.as_ref()
    }

    fn decrypt(&self, mut ciphertext: &[u8], buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let mut keys = self.keys.lock();
        // rustls takes 4 KiB at a time, and nothing after the client's farewell.
        while !ciphertext.is_empty() && keys.read_tls(&mut ciphertext)? > 0 {
            let processed = keys.process_new_packets();
            // New keys are confirmed and mistakes are answered, if the socket takes it now; otherwise with the next write, which also
            // is the one to notice a socket that is gone: what was read before is still good.
            let _ = push(&mut Socket { tcp: self.tcp.as_ref(), taken: 0, insists: false }, &mut keys);
            processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            take_plaintext(&mut keys, buf)?;
        }
        Ok(())
    }
}

impl TlsWriter {
    /// Encrypts as much as rustls holds at most (64 KiB), and writes what the socket takes of it. Nothing is taken as long as
    /// something of the last time is held.
    pub(crate) fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(bufs, false)
    }

    /// The same, but the socket itself is asked, even if nobody has been told that it takes something.
    pub(crate) fn insist(&self, data: &[u8]) -> io::Result<usize> {
        self.write(&[IoSlice::new(data)], true)
    }

    fn write(&self, bufs: &[IoSlice<'_>], insists: bool) -> io::Result<usize> {
        let mut keys = self.keys.lock();
        if !self.push(&mut keys, insists)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = keys.writer().write_vectored(bufs)?;
        self.push(&mut keys, insists)?;
        Ok(taken)
    }

    pub(crate) fn try_flush(&self) -> io::Result<bool> {
        self.push(&mut self.keys.lock(), false)
    }

    pub(crate) fn passed_on(&self) -> u64 {
        self.passed_on.load(Ordering::Relaxed)
    }

    fn push(&self, keys: &mut ServerConnection, insists: bool) -> io::Result<bool> {
        let mut socket = Socket { tcp: self.tcp(), taken: 0, insists };
        let pushed = push(&mut socket, keys);
        self.passed_on.fetch_add(socket.taken, Ordering::Relaxed);
        pushed
    }

    /// Says goodbye, once, after everything that was written.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut keys = self.keys.lock();
        keys.send_close_notify();
        if self.push(&mut keys, false)? { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        self.tcp.as_ref()
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = if self.insists { SockRef::from(self.tcp).send(data) } else { self.tcp.try_write(data) };
        taken.inspect(|taken| self.taken += *taken as u64)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let taken = if self.insists { SockRef::from(self.tcp).send_vectored(bufs) } else { self.tcp.try_write_vectored(bufs) };
        taken.inspect(|taken| self.taken += *taken as u64)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Moves what is decrypted. True if there was something, or if nothing more will come.
fn take_plaintext(keys: &mut ServerConnection, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
    if buf.remaining() == 0 {
        return Ok(true);
    }
    match keys.reader().read(buf.initialize_unfilled()) {
        Ok(bytes) => {
            buf.advance(bytes);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes ciphertext until there is none or the socket takes no more. True if there is none.
fn push(socket: &mut Socket<'_>, keys: &mut ServerConnection) -> io::Result<bool> {
    while keys.wants_write() {
        match keys.write_tls(socket) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
