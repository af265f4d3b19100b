//! One connection on its way from connecting to its first reply.

use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::time::Duration;

use duet_codec::Packet;
use mio::net::TcpStream;
use mio::{Registry, Token};

use crate::dial::{Sources, upgraded};
use crate::end::End;
use crate::inlet::{Buffer, Event, Inlet};
use crate::line::{Line, write};
use crate::tally::Tally;

/// What every connection says.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) address: SocketAddr,
    pub(super) upgrade: Option<String>,
    pub(super) request: Vec<u8>,
}

/// Dropping it closes the connection.
pub(super) struct Attempt {
    line: TcpStream,
    state: State,
    begun: Duration,
}

enum State {
    Connecting,
    /// The beginning of the answer to the upgrade.
    Upgrading(Vec<u8>),
    Asking(Inlet),
}

impl Attempt {
    /// Begins to connect.
    pub(super) fn begin(script: &Script, sources: &mut Sources, registry: &Registry, token: Token, now: Duration) -> io::Result<Self> {
        let socket = sources.socket(script.address)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&script.address.into()) {
            Err(error) if error.kind() != ErrorKind::WouldBlock && error.raw_os_error() != Some(EINPROGRESS) => return Err(error),
            _ => {}
        }
        let mut line = TcpStream::from_std(socket.into());
        line.register(registry, token)?;
        Ok(Self { line, state: State::Connecting, begun: now })
    }

    /// When connecting began.
    pub(super) fn begun(&self) -> Duration {
        self.begun
    }

    /// Does what can be done now, and says whether the reply is here.
    pub(super) fn go_on(&mut self, script: &Script, buffer: &mut Buffer, tally: &mut Tally) -> Result<bool, End> {
        if let State::Connecting = &self.state {
            if !is_connected(&self.line)? {
                return Ok(false);
            }
            match &script.upgrade {
                Some(upgrade) => {
                    say(&mut self.line, upgrade.as_bytes())?;
                    self.state = State::Upgrading(Vec::new());
                }
                None => self.ask(script, Vec::new())?,
            }
        }
        if let State::Upgrading(answer) = &mut self.state {
            let Some(received) = read_upgrade(&mut self.line, answer)? else { return Ok(false) };
            self.ask(script, received)?;
        }
        let State::Asking(inlet) = &mut self.state else { return Ok(false) };
        let mut answered = false;
        inlet.drain(&mut self.line, buffer, |event| {
            match event {
                Event::Read(count) => tally.bytes_in += count as u64,
                Event::Packet(Packet::Data { extcode: 0, .. }) => answered = true,
                Event::Packet(Packet::Data { body, .. }) => {
                    let code = body.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
                    *tally.errors.entry(code).or_default() += 1;
                    return Err(End::Format(format!("refused with code {code}")));
                }
                Event::Packet(Packet::Empty | Packet::Heartbeat { .. }) | Event::Ping(_) => {}
            }
            Ok(())
        })?;
        Ok(answered)
    }

    fn ask(&mut self, script: &Script, received: Vec<u8>) -> Result<(), End> {
        say(&mut self.line, &script.request)?;
        self.state = State::Asking(Inlet::new(received));
        Ok(())
    }
}

/// What a connect that does not wait returns. It is the same on all systems with epoll.
const EINPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

fn is_connected(line: &TcpStream) -> io::Result<bool> {
    if let Some(error) = line.take_error()? {
        return Err(error);
    }
    match line.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// A new connection takes the few bytes of a first message at once.
fn say(line: &mut TcpStream, bytes: &[u8]) -> Result<(), End> {
    match write(line, bytes)? {
        Some(count) if count == bytes.len() => Ok(()),
        _ => Err(End::Format("a new connection does not take the first message".to_owned())),
    }
}

/// What came after the answer to the upgrade; `None` if the answer is not complete.
fn read_upgrade(line: &mut TcpStream, answer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, End> {
    let mut part = [0; 1_024];
    loop {
        match line.read(&mut part) {
            Ok(0) => return Err(End::Stream),
            Ok(count) => answer.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        if let Some(received) = upgraded(answer)? {
            return Ok(Some(received));
        }
    }
}
