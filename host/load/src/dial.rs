//! Opening the connections of a run: connect, for ws the upgrade, then non-blocking.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::error::LoadError;
use super::kcp::{KcpConnection, Loss};
use duet_client::{Endpoint, KcpOptions, Transport};

/// Any 16 bytes do: the key guards caches against mistakes, nothing else.
const WS_KEY: &str = "ZHVldC1sb2FkLWJlbmNoIQ==";
/// The answer to an upgrade is a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 8 * 1024;
/// Files a process needs besides its connections.
const OTHER_FILES: u64 = 64;
/// A session has its socket twice.
const FILES_OF_CONNECTION: u64 = 2;
/// Each address has some 28,000 ports to connect from, and one that was used rests for a minute.
const SOURCES: u32 = 200;

/// An open connection, and what the server sent right after its answer to the upgrade.
#[derive(Debug)]
pub(super) struct Dialled<L> {
    pub(super) line: L,
    pub(super) received: Vec<u8>,
}

/// A way to open connections of one kind.
pub(super) trait Dial {
    type Line;

    fn dial(&mut self) -> io::Result<Dialled<Self::Line>>;
}

/// Opens KCP sessions with one server.
#[derive(Debug)]
pub(super) struct KcpDialler {
    address: SocketAddr,
    loss: Loss,
    opened: usize,
}

/// Addresses of this machine to connect from, in turn, if the server is on it too.
#[derive(Debug, Default)]
pub(super) struct Sources {
    next: u32,
}

/// Opens connections to one server.
#[derive(Debug)]
pub(super) struct Dialler {
    addresses: VecDeque<SocketAddr>,
    reached: bool,
    upgrade: Option<String>,
    timeout: Duration,
    sources: Sources,
}

impl KcpDialler {
    /// Resolves the address and makes room for this many sessions.
    pub(super) fn new(endpoint: &Endpoint, loss: Loss, connections: usize) -> io::Result<Self> {
        raise_file_limit(connections);
        Ok(Self { address: resolve(endpoint)?, loss, opened: 0 })
    }
}

impl Dial for KcpDialler {
    type Line = KcpConnection;

    fn dial(&mut self) -> io::Result<Dialled<KcpConnection>> {
        let line = KcpConnection::open(self.address, &KcpOptions::default(), self.loss, self.opened)?;
        self.opened += 1;
        Ok(Dialled { line, received: Vec::new() })
    }
}

impl Sources {
    /// A socket that will connect to `target`.
    pub(super) fn socket(&mut self, target: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
        if let IpAddr::V4(address) = target.ip()
            && address.is_loopback()
            && cfg!(target_os = "linux")
        {
            let source = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + self.next);
            self.next = (self.next + 1) % SOURCES;
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        Ok(socket)
    }
}

impl Dialler {
    /// Resolves the address and makes room for this many sockets.
    pub(super) fn new(endpoint: &Endpoint, timeout: Duration, connections: usize) -> io::Result<Self> {
        raise_file_limit(connections);
        let addresses = endpoint.authority().to_socket_addrs()?.collect();
        Ok(Self { addresses, reached: false, upgrade: upgrade_request(endpoint), timeout, sources: Sources::default() })
    }

    /// The first connection finds out which address of the host the server listens on: `localhost` may have two.
    fn connect(&mut self) -> io::Result<TcpStream> {
        loop {
            let address = *self.addresses.front().ok_or_else(no_address)?;
            let socket = self.sources.socket(address)?;
            match socket.connect_timeout(&address.into(), self.timeout).map(|()| TcpStream::from(socket)) {
                Err(_) if !self.reached && self.addresses.len() > 1 => drop(self.addresses.pop_front()),
                result => {
                    self.reached |= result.is_ok();
                    return result;
                }
            }
        }
    }
}

impl Dial for Dialler {
    type Line = mio::net::TcpStream;

    fn dial(&mut self) -> io::Result<Dialled<mio::net::TcpStream>> {
        let mut stream = self.connect()?;
        stream.set_nodelay(true)?;
        let received = match &self.upgrade {
            Some(request) => upgrade(&mut stream, request, self.timeout)?,
            None => Vec::new(),
        };
        stream.set_nonblocking(true)?;
        Ok(Dialled { line: mio::net::TcpStream::from_std(stream), received })
    }
}

/// TLS costs what its library costs, which says nothing about the server. So the generator has none.
pub(super) fn need_plain(transport: Transport) -> Result<(), LoadError> {
    if transport.is_secure() {
        return Err(LoadError::Options("the load generator has no TLS; measure behind tcp, ws or kcp"));
    }
    Ok(())
}

/// What broadcasts and connecting over and over need.
pub(super) fn need_stream(transport: Transport) -> Result<(), LoadError> {
    if transport == Transport::Kcp {
        return Err(LoadError::Options("this load is for tcp and ws only"));
    }
    need_plain(transport)
}

/// The first address of the host.
pub(super) fn resolve(endpoint: &Endpoint) -> io::Result<SocketAddr> {
    endpoint.authority().to_socket_addrs()?.next().ok_or_else(no_address)
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the host has no address")
}

/// What is sent to upgrade a connection; nothing without ws.
pub(super) fn upgrade_request(endpoint: &Endpoint) -> Option<String> {
    let (path, host) = (endpoint.path(), endpoint.authority());
    (endpoint.transport() == Transport::Ws).then(|| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {WS_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
    })
}

/// Asks for the upgrade and reads up to the end of the answer's head.
fn upgrade(stream: &mut TcpStream, request: &str, timeout: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + timeout;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 1_024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut part)?;
        answer.extend_from_slice(part.get(..count).unwrap_or_default());
        if let Some(received) = upgraded(&mut answer)? {
            return Ok(received);
        }
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// What came after the answer to an upgrade; `None` if the answer is not complete.
pub(super) fn upgraded(answer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    match answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
        Some(end) => {
            let received = answer.split_off(end + 4);
            check_answer(&String::from_utf8_lossy(answer))?;
            Ok(Some(received))
        }
        None if answer.len() > ANSWER_BYTES_MAX => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the answer to the upgrade does not end"))
        }
        None => Ok(None),
    }
}

fn check_answer(head: &str) -> io::Result<()> {
    let refused = |reason: String| Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if status.split_whitespace().nth(1) != Some("101") {
        return refused(format!("the upgrade was refused: {status}"));
    }
    let accept = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-accept"));
    match accept {
        Some((_, key)) if key.trim() == derive_accept_key(WS_KEY.as_bytes()) => Ok(()),
        _ => refused("the answer to the upgrade has no valid Sec-WebSocket-Accept".to_owned()),
    }
}

/// Many systems allow 1,024 open files until a process asks for more. If that fails, opening the sockets will show it.
pub(super) fn raise_file_limit(connections: usize) {
    let wanted = FILES_OF_CONNECTION * connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else { return };
    // Root may have more than the maximum.
    let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
    if setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_err() {
        let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)).max(current);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_101_or_the_right_key_is_refused_with_its_reason() {
        let forbidden = check_answer("HTTP/1.1 403 Forbidden\r\n\r\n").unwrap_err();
        assert_eq!(forbidden.to_string(), "the upgrade was refused: HTTP/1.1 403 Forbidden");
        assert!(check_answer("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n").is_err());
        let accept = derive_accept_key(WS_KEY.as_bytes());
        assert!(check_answer(&format!("HTTP/1.1 101 Ok\r\nsec-websocket-accept: {accept}\r\n\r\n")).is_ok());
    }
}
