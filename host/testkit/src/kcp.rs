//! A client of KCP that works only while it is asked to read or write.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kcp::Kcp;

/// How long a greeting may take. The core sends its first datagram several times meanwhile.
const GREETING: Duration = Duration::from_secs(10);
/// Longer than the core waits for a first acknowledgement.
const RESEND: Duration = Duration::from_millis(400);
/// Longer than any datagram of the server.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// One session, over a socket of its own.
pub(crate) struct KcpStream {
    socket: Arc<UdpSocket>,
    core: Kcp<Output>,
    begun: Instant,
    is_proved: bool,
    /// How long a read waits.
    pub(crate) read_timeout: Duration,
}

struct Output(Arc<UdpSocket>);

impl Write for Output {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        // A lost datagram is sent again.
        let _ = self.0.send(datagram);
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl KcpStream {
    /// A session that sends nothing before the first write. `source` is the address it comes from.
    pub(crate) fn new(server: SocketAddr, source: Option<Ipv4Addr>) -> Self {
        static CONVERSATION: AtomicU32 = AtomicU32::new(1);
        let source: IpAddr = source.unwrap_or(Ipv4Addr::UNSPECIFIED).into();
        let socket = Arc::new(UdpSocket::bind((source, 0)).expect("a udp socket"));
        socket.connect(server).expect("a udp socket");
        let mut core = Kcp::new_stream(CONVERSATION.fetch_add(1, Ordering::Relaxed), Output(Arc::clone(&socket)));
        core.set_nodelay(true, 10, 2, true);
        core.set_wndsize(256, 256);
        Self { socket, core, begun: Instant::now(), is_proved: false, read_timeout: GREETING }
    }

    /// Begins with these bytes, and acknowledges the greeting, which proves the address. The server takes the bytes only when they
    /// are sent again: when this is read from or written to.
    pub(crate) fn prove(&mut self, data: &[u8]) -> io::Result<()> {
        self.is_proved = true;
        self.core.send(data).map_err(io::Error::other)?;
        self.flush_now()?;
        let deadline = Instant::now() + GREETING;
        while Instant::now() < deadline {
            if self.pump(deadline)? {
                return Ok(());
            }
        }
        Err(io::Error::new(ErrorKind::ConnectionRefused, "the server does not greet"))
    }

    /// Receives until a datagram has come or the time is up; true if one has.
    fn pump(&mut self, deadline: Instant) -> io::Result<bool> {
        let now = self.now();
        let next = Duration::from_millis(u64::from(self.core.check(now)));
        let left = deadline.saturating_duration_since(Instant::now());
        let mut datagram = [0; DATAGRAM_BYTES_MAX];
        self.socket.set_read_timeout(Some(left.min(next).max(Duration::from_millis(1))))?;
        let came = match self.socket.recv(&mut datagram) {
            // Anything that is not a segment of this session was meant for the one that had the port before.
            Ok(length) => self.core.input(&datagram[..length]).is_ok(),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused) => false,
            Err(e) => return Err(e),
        };
        self.flush_now()?;
        Ok(came)
    }

    fn flush_now(&mut self) -> io::Result<()> {
        let now = self.now();
        self.core.update(now).and_then(|()| self.core.flush()).map_err(io::Error::other)
    }

    fn now(&self) -> u32 {
        u32::try_from(self.begun.elapsed().as_millis()).expect("a short test")
    }
}

impl Read for KcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let deadline = Instant::now() + self.read_timeout;
        loop {
            match self.core.recv(buffer) {
                Ok(length) => return Ok(length),
                Err(kcp::Error::UserBufTooSmall) => return Err(ErrorKind::InvalidInput.into()),
                Err(_) if Instant::now() >= deadline => return Err(ErrorKind::TimedOut.into()),
                Err(_) => drop(self.pump(deadline)?),
            }
        }
    }
}

impl Write for KcpStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.is_proved {
            self.core.send(data).map_err(io::Error::other)?;
            self.flush_now()?;
            return Ok(data.len());
        }
        self.prove(data)?;
        // The server has not taken what came before the proof, and the core would send it again only after a while.
        self.begun -= RESEND;
        self.flush_now()?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for KcpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KcpStream").field("conv", &self.core.conv()).finish_non_exhaustive()
    }
}
