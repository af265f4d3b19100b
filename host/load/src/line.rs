//! What a connection is read from and written to without waiting: a socket, or a KCP session.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::end::End;

/// One connection, ready or not.
pub(super) trait Line: Read + Write {
    /// Whether a read that leaves space means that there is nothing more.
    const SHORT_READ_IS_LAST: bool;
    /// Whether [`tend`](Self::tend) has to be called from time to time.
    const HAS_TIMERS: bool;

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()>;

    fn shut(&mut self, registry: &Registry);

    /// Takes what the system received, before it is read.
    fn receive(&mut self) -> Result<(), End>;

    /// Does what is due. Returns how long nothing more will be.
    fn tend(&mut self) -> Result<Option<Duration>, End>;
}

impl Line for TcpStream {
    const SHORT_READ_IS_LAST: bool = true;
    const HAS_TIMERS: bool = false;

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(self, token, Interest::READABLE | Interest::WRITABLE)
    }

    fn shut(&mut self, registry: &Registry) {
        // The socket may be closed by the server already; there is nobody to tell.
        drop(registry.deregister(self));
        drop(self.shutdown(Shutdown::Both));
    }

    fn receive(&mut self) -> Result<(), End> {
        Ok(())
    }

    fn tend(&mut self) -> Result<Option<Duration>, End> {
        Ok(None)
    }
}

/// Writes what is taken now. `None` if that is nothing.
pub(super) fn write(line: &mut impl Write, bytes: &[u8]) -> io::Result<Option<usize>> {
    loop {
        match line.write(bytes) {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
