//! What carries the bytes of a client: tcp, TLS over it, or KCP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use crate::kcp::KcpStream;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Link {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Kcp(Box<KcpStream>),
}

impl Link {
    /// The tcp socket below.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
            Self::Kcp(_) => panic!("a KCP session has no tcp socket"),
        }
    }

    pub(crate) fn set_read_timeout(&mut self, timeout: Duration) {
        match self {
            Self::Kcp(kcp) => kcp.read_timeout = timeout,
            other => other.tcp().set_read_timeout(Some(timeout)).expect("a socket"),
        }
    }

    /// Sends no more. What the server says is still to be read.
    pub(crate) fn finish(&mut self) {
        match self {
            // KCP has no goodbye.
            Self::Kcp(_) => {}
            Self::Tls(tls) => {
                tls.conn.send_close_notify();
                let _closed = tls.flush();
            }
            Self::Tcp(tcp) => drop(tcp.shutdown(Shutdown::Write)),
        }
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(buffer),
            // An end without a goodbye, or with an alert, is an end as well.
            Self::Tls(tls) => tls.read(buffer).or_else(|e| match e.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::InvalidData => Ok(0),
                _ => Err(e),
            }),
            Self::Kcp(kcp) => kcp.read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(data),
            Self::Tls(tls) => tls.write(data),
            Self::Kcp(kcp) => kcp.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
            Self::Kcp(kcp) => kcp.flush(),
        }
    }
}
