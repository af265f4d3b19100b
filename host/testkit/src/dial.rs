//! How a client connects: from which address, with what before its first packet, through which TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::kcp::KcpStream;
use crate::link::Link;
use crate::peer::{PATIENCE, Peer};
use crate::pki::Trust;
use crate::wire::{Carrier, Wire};

/// A connection to be made.
#[derive(Clone, Debug)]
pub struct Dial {
    server: SocketAddr,
    wire: Wire,
    source: Option<Ipv4Addr>,
    receive_bytes: Option<usize>,
    preface: Vec<u8>,
    headers: String,
    tls: Option<Trust>,
    kcp: bool,
}

impl Dial {
    /// To a tcp or ws listener.
    pub fn new(server: SocketAddr, wire: Wire) -> Self {
        Self { server, wire, source: None, receive_bytes: None, preface: Vec::new(), headers: String::new(), tls: None, kcp: false }
    }

    /// To a kcp listener.
    pub fn kcp(server: SocketAddr) -> Self {
        Self { kcp: true, ..Self::new(server, Wire::TCP) }
    }

    /// From this address of the machine.
    #[must_use]
    pub fn from(self, source: Ipv4Addr) -> Self {
        Self { source: Some(source), ..self }
    }

    /// With a receive buffer of this many bytes, or what the kernel makes of that.
    #[must_use]
    pub fn receive_bytes(self, bytes: usize) -> Self {
        Self { receive_bytes: Some(bytes), ..self }
    }

    /// With these bytes before everything else.
    #[must_use]
    pub fn preface(self, bytes: &[u8]) -> Self {
        Self { preface: bytes.to_owned(), ..self }
    }

    /// With one more line in the upgrade request.
    #[must_use]
    pub fn header(mut self, line: &str) -> Self {
        self.headers.push_str(line);
        self.headers.push_str("\r\n");
        self
    }

    /// Through TLS.
    #[must_use]
    pub fn tls(self, trust: &Trust) -> Self {
        Self { tls: Some(trust.clone()), ..self }
    }

    /// Connects the socket, sends the preface and shakes hands for TLS, but does not ask for the upgrade.
    ///
    /// # Panics
    /// If that fails.
    pub fn bare(&self) -> Peer {
        self.try_bare().unwrap_or_else(|why| panic!("{}: {why}", self.server))
    }

    /// Connects, on ws with the upgrade.
    ///
    /// # Panics
    /// If that fails.
    pub fn connect(&self) -> Peer {
        self.try_connect().unwrap_or_else(|why| panic!("{}: {why}", self.server))
    }

    /// Connects, on ws with the upgrade.
    ///
    /// # Errors
    /// Why there is no connection: what the server answered to the upgrade, or what the operating system says.
    pub fn try_connect(&self) -> Result<Peer, String> {
        let mut peer = self.try_bare()?;
        upgrade(&mut peer, "/", &self.headers)?;
        Ok(peer)
    }

    fn try_bare(&self) -> Result<Peer, String> {
        let link = if self.kcp { Ok(Link::Kcp(Box::new(KcpStream::new(self.server, self.source)))) } else { self.tcp() };
        link.map(|link| Peer::over(link, self.wire)).map_err(|e| e.to_string())
    }

    fn tcp(&self) -> std::io::Result<Link> {
        let socket = Socket::new(Domain::for_address(self.server), Type::STREAM, None)?;
        if let Some(source) = self.source {
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        if let Some(bytes) = self.receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect_timeout(&self.server.into(), PATIENCE)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut stream = std::net::TcpStream::from(socket);
        std::io::Write::write_all(&mut stream, &self.preface)?;
        let Some(trust) = &self.tls else { return Ok(Link::Tcp(stream)) };
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        trust.shake_hands(stream).map(|tls| Link::Tls(Box::new(tls)))
    }
}

impl Peer {
    /// Connects, on ws with the upgrade at `/`.
    ///
    /// # Panics
    /// If that fails.
    pub fn connect(address: SocketAddr, wire: Wire) -> Self {
        Self::connect_to(address, wire, "/").unwrap_or_else(|refused| panic!("no WebSocket: {refused}"))
    }

    /// Connects, on ws with the upgrade at a path.
    ///
    /// # Errors
    /// What the server answered instead of agreeing to the upgrade.
    pub fn connect_to(address: SocketAddr, wire: Wire, path: &str) -> Result<Self, String> {
        let mut peer = Self::bare(address, wire);
        upgrade(&mut peer, path, "")?;
        Ok(peer)
    }

    /// Connects the socket and sends nothing, not even the upgrade.
    pub fn bare(address: SocketAddr, wire: Wire) -> Self {
        Dial::new(address, wire).bare()
    }
}

/// Asks for the upgrade, if the wire is ws.
fn upgrade(peer: &mut Peer, path: &str, headers: &str) -> Result<(), String> {
    if peer.wire().carrier != Carrier::Ws {
        return Ok(());
    }
    peer.write(upgrade_request_with(path, headers).as_bytes());
    let answer = peer.http_answer();
    if answer.starts_with("HTTP/1.1 101 ") { Ok(()) } else { Err(answer) }
}

/// The upgrade of a well-behaved client.
pub fn upgrade_request(path: &str) -> String {
    upgrade_request_with(path, "")
}

/// The same with more lines, each with its line end.
pub fn upgrade_request_with(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}
