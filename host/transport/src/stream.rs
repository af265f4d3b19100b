//! What a connection reads from and writes to, whatever is underneath.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::kcp::{KcpReader, KcpWriter};
use crate::tls::{TlsReader, TlsStream, TlsWriter, split};

/// Both directions of a connection, after all handshakes.
#[derive(Debug)]
pub struct Stream {
    /// What the client sends.
    pub reader: Reader,
    /// What the client gets.
    pub writer: Writer,
}

/// What a client sends.
#[derive(Debug)]
pub enum Reader {
    /// Plain tcp.
    Tcp(OwnedReadHalf),
    /// TLS over tcp.
    Tls(TlsReader),
    /// KCP over udp.
    Kcp(KcpReader),
    /// What was read together with a handshake. Once that is used up, the reader behind it takes its place.
    Ahead(Box<Ahead>),
}

/// Bytes that are read before those of another reader; never none.
#[derive(Debug)]
pub struct Ahead {
    bytes: Vec<u8>,
    /// Taken out with the last of them.
    behind: Option<Reader>,
}

/// What a client gets. May be used by any thread, at the same time; nothing here blocks.
#[derive(Debug)]
pub enum Writer {
    /// Plain tcp.
    Tcp(OwnedWriteHalf),
    /// TLS over tcp.
    Tls(TlsWriter),
    /// KCP over udp.
    Kcp(KcpWriter),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: Reader::Tcp(reader), writer: Writer::Tcp(writer) }
    }
}

impl From<TlsStream> for Stream {
    fn from(stream: TlsStream) -> Self {
        let (reader, writer) = split(stream);
        Self { reader: Reader::Tls(reader), writer: Writer::Tls(writer) }
    }
}

impl Stream {
    /// The same, with bytes that are read before what comes from the socket.
    #[must_use]
    pub fn with_ahead(self, bytes: Vec<u8>) -> Self {
        let Self { reader, writer } = self;
        if bytes.is_empty() {
            return Self { reader, writer };
        }
        Self { reader: Reader::Ahead(Box::new(Ahead { bytes, behind: Some(reader) })), writer }
    }
}

impl Reader {
    /// Reads what is there into a buffer with room. Nothing read means that the client sends no more.
    ///
    /// # Errors
    /// The connection is lost, or what came is not what the protocol allows.
    #[inline]
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => tls.poll_read(cx, buf),
            Self::Kcp(kcp) => kcp.poll_read(cx, buf),
            Self::Ahead(ahead) => {
                if let Some(behind) = ahead.read(buf) {
                    *self = behind;
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Whether the kernel has something for this connection that nobody has been told of yet: bytes, or the end. Not known for KCP, whose
    /// datagrams arrive for all connections of a listener together.
    pub fn has_arrived(&self) -> bool {
        let tcp = match self {
            Self::Tcp(tcp) => tcp.as_ref(),
            Self::Tls(tls) => tls.tcp(),
            Self::Kcp(_) => return false,
            Self::Ahead(_) => return true,
        };
        match SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()]) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Ahead {
    /// Reads as much as there is room for. Returns the reader behind it once nothing is left.
    #[cold]
    fn read(&mut self, buf: &mut ReadBuf<'_>) -> Option<Reader> {
        let taken = self.bytes.len().min(buf.remaining());
        buf.put_slice(self.bytes.drain(..taken).as_slice());
        self.behind.take_if(|_| self.bytes.is_empty())
    }
}

impl Writer {
    /// Takes as much of the data as it can at once.
    ///
    /// # Errors
    /// `WouldBlock` if that is nothing: [`Writer::poll_write_ready`] tells when to try again. Any other: the connection is lost.
    #[inline]
    pub fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write(data),
            Self::Tls(tls) => tls.try_write_vectored(&[IoSlice::new(data)]),
            Self::Kcp(kcp) => kcp.try_write(data),
        }
    }

    /// Takes as much as it can of several pieces, in order.
    ///
    /// # Errors
    /// As [`Writer::try_write`].
    #[inline]
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write_vectored(bufs),
            Self::Tls(tls) => tls.try_write_vectored(bufs),
            // What is left is tried next.
            Self::Kcp(kcp) => bufs.iter().find(|buf| !buf.is_empty()).map_or(Ok(0), |buf| kcp.try_write(buf)),
        }
    }

    /// The same for one piece. The socket itself is asked, even if nobody has been told yet that it takes something.
    ///
    /// # Errors
    /// As [`Writer::try_write`].
    pub fn insist(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => SockRef::from(tcp.as_ref()).send(data),
            Self::Tls(tls) => tls.insist(data),
            Self::Kcp(kcp) => kcp.try_write(data),
        }
    }

    /// Bytes that were held here and went on to the client so far.
    pub fn passed_on(&self) -> u64 {
        match self {
            Self::Tls(tls) => tls.passed_on(),
            Self::Tcp(_) | Self::Kcp(_) => 0,
        }
    }

    /// Passes on what was taken and is still held here. True if nothing is held after it. False: somebody has to call this again after
    /// [`Writer::poll_write_ready`].
    ///
    /// # Errors
    /// The connection is lost.
    #[inline]
    pub fn try_flush(&self) -> io::Result<bool> {
        match self {
            Self::Tcp(_) => Ok(true),
            Self::Tls(tls) => tls.try_flush(),
            Self::Kcp(_) => Ok(true),
        }
    }

    /// Ready when trying to write may help. Only the last task that asks is woken.
    ///
    /// # Errors
    /// The connection is lost.
    #[inline]
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.as_ref().poll_write_ready(cx),
            Self::Tls(tls) => tls.tcp().poll_write_ready(cx),
            Self::Kcp(kcp) => kcp.poll_write_ready(cx),
        }
    }

    /// Ends our side: the client reads what was written so far, and then the end. It may go on sending.
    ///
    /// # Errors
    /// `WouldBlock` if something is still held back (only TLS): try again after [`Writer::poll_write_ready`]. Any other: the
    /// connection is lost.
    pub fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => SockRef::from(tcp.as_ref()).shutdown(Shutdown::Write),
            Self::Tls(tls) => {
                tls.close()?;
                SockRef::from(tls.tcp()).shutdown(Shutdown::Write)
            }
            Self::Kcp(kcp) => kcp.shutdown(),
        }
    }
}
