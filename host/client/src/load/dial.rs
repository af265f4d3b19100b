//! Opening the sockets of a run: connect, for ws the upgrade, then non-blocking.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::endpoint::{Endpoint, Transport};

/// Any 16 bytes do: the key guards caches against mistakes, nothing else.
const WS_KEY: &str = "ZHVldC1sb2FkLWJlbmNoIQ==";
/// The answer to an upgrade is a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 8 * 1024;
/// Files a process needs beside its sockets.
const OTHER_FILES: u64 = 64;

/// An open connection, and what the server sent right behind its answer to the upgrade.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) socket: mio::net::TcpStream,
    pub(super) received: Vec<u8>,
}

/// Opens connections to one server.
#[derive(Debug)]
pub(super) struct Dialler {
    addresses: VecDeque<SocketAddr>,
    reached: bool,
    upgrade: Option<String>,
    timeout: Duration,
}

impl Dialler {
    /// Resolves the address and makes room for so many sockets.
    pub(super) fn new(endpoint: &Endpoint, timeout: Duration, connections: usize) -> io::Result<Self> {
        raise_file_limit(connections as u64 + OTHER_FILES);
        let addresses = endpoint.authority().to_socket_addrs()?.collect();
        let upgrade = (endpoint.transport() == Transport::Ws).then(|| {
            let (path, host) = (endpoint.path(), endpoint.authority());
            format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: {WS_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
        });
        Ok(Self { addresses, reached: false, upgrade, timeout })
    }

    /// Opens one connection.
    pub(super) fn dial(&mut self) -> io::Result<Dialled> {
        let mut stream = self.connect()?;
        stream.set_nodelay(true)?;
        let received = match &self.upgrade {
            Some(request) => upgrade(&mut stream, request, self.timeout)?,
            None => Vec::new(),
        };
        stream.set_nonblocking(true)?;
        Ok(Dialled { socket: mio::net::TcpStream::from_std(stream), received })
    }

    /// The first connection finds out which address of the host the server listens on: `localhost` may have two.
    fn connect(&mut self) -> io::Result<TcpStream> {
        loop {
            let no_address = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
            let address = self.addresses.front().ok_or_else(no_address)?;
            match TcpStream::connect_timeout(address, self.timeout) {
                Err(_) if !self.reached && self.addresses.len() > 1 => drop(self.addresses.pop_front()),
                result => {
                    self.reached |= result.is_ok();
                    return result;
                }
            }
        }
    }
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
        if let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let received = answer.split_off(end + 4);
            check_answer(&String::from_utf8_lossy(&answer))?;
            return Ok(received);
        }
        if count == 0 || answer.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer to the upgrade does not end"));
        }
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

/// Many systems allow 1,024 open files until a process asks for more. If that fails, opening the sockets will tell.
fn raise_file_limit(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else { return };
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)).max(current);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
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
