//! KCP sessions without a runtime: one UDP socket each, driven by the thread of the generator, with as many datagrams lost as asked for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use duet_client::KcpOptions;
use kcp::Kcp;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::end::End;
use super::line::Line;

/// More than the longest datagram that a server of ours sends, or one with the usual settings.
const DATAGRAM_BYTES: usize = 2 * 1024;
/// Segments in one write; the library refuses 128 and more.
const WRITE_SEGMENTS: usize = 64;

/// Datagrams that get lost, in both directions alike.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loss {
    /// The part that is lost, 0 to 1.
    pub part: f64,
    /// Which ones: the same ones of a session for the same seed.
    pub seed: u64,
}

/// A session.
pub(super) struct KcpConnection {
    kcp: Kcp<Output>,
    socket: UdpSocket,
    begun: Instant,
    dice: Dice,
    datagram: Box<[u8]>,
    /// Whether something was received that is not acknowledged yet.
    owes: bool,
}

/// Sends datagrams, or loses them.
struct Output {
    socket: std::net::UdpSocket,
    dice: Dice,
}

/// Says which datagrams are lost: splitmix64, compared with a threshold.
#[derive(Debug, Clone)]
struct Dice {
    state: u64,
    threshold: u64,
}

impl KcpConnection {
    /// Opens the socket of session number `index`; nothing is sent yet.
    pub(super) fn open(address: SocketAddr, options: &KcpOptions, loss: Loss, index: usize) -> io::Result<Self> {
        let any: SocketAddr = if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = std::net::UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        let (to_server, to_client) = (Dice::new(loss, 2 * index as u64), Dice::new(loss, 2 * index as u64 + 1));
        let kcp = options.session(Output { socket: socket.try_clone()?, dice: to_server })?;
        let (socket, datagram) = (UdpSocket::from_std(socket), vec![0; DATAGRAM_BYTES].into());
        Ok(Self { kcp, socket, begun: Instant::now(), dice: to_client, datagram, owes: false })
    }

    /// Tells KCP the time in milliseconds, which wraps after 49 days, as KCP expects. KCP does what is due.
    fn update(&mut self) -> Result<u32, kcp::Error> {
        let now = self.begun.elapsed().as_millis() as u32;
        self.kcp.update(now)?;
        Ok(now)
    }
}

impl Line for KcpConnection {
    // What is read comes segment by segment.
    const SHORT_READ_IS_LAST: bool = false;
    const HAS_TIMERS: bool = true;

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    fn shut(&mut self, registry: &Registry) {
        drop(registry.deregister(&mut self.socket));
    }

    fn receive(&mut self) -> Result<(), End> {
        self.update().map_err(broken)?;
        loop {
            match self.socket.recv(&mut self.datagram) {
                Ok(_) if self.dice.loses() => {}
                Ok(count) => match self.kcp.input(self.datagram.get(..count).unwrap_or_default()) {
                    Ok(_) => self.owes = true,
                    // Of an earlier session from the same port.
                    Err(kcp::Error::ConvInconsistent(..)) => {}
                    Err(error) => return Err(broken(error)),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn tend(&mut self) -> Result<Option<Duration>, End> {
        // An answer that was sent at once has taken the acknowledgement along.
        if std::mem::take(&mut self.owes) {
            self.kcp.flush().map_err(broken)?;
        }
        if self.kcp.wait_snd() == 0 {
            return Ok(None);
        }
        let now = self.update().map_err(broken)?;
        if self.kcp.is_dead_link() {
            return Err(End::DeadLink);
        }
        Ok(Some(Duration::from_millis(self.kcp.check(now).into())))
    }
}

impl Read for KcpConnection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.kcp.recv(buffer).map_err(io::Error::from)
    }
}

impl Write for KcpConnection {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.kcp.wait_snd() >= usize::from(self.kcp.snd_wnd()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.update().map_err(io::Error::from)?;
        let taken = data.get(..WRITE_SEGMENTS * self.kcp.mss()).unwrap_or(data);
        let count = self.kcp.send(taken).map_err(io::Error::from)?;
        self.kcp.flush().map_err(io::Error::from)?;
        self.owes = false;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if !self.dice.loses() {
            match self.socket.send(datagram) {
                // A full socket is one more way to lose it.
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Dice {
    fn new(loss: Loss, number: u64) -> Self {
        // A float above the largest integer becomes the largest.
        let threshold = (loss.part.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        Self { state: loss.seed.wrapping_add(number.wrapping_mul(0xd6e8_feb8_6659_fd93)), threshold }
    }

    fn loses(&mut self) -> bool {
        if self.threshold == 0 {
            return false;
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) < self.threshold
    }
}

fn broken(error: kcp::Error) -> End {
    match error {
        kcp::Error::IoError(error) => End::Io(error),
        other => End::Format(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_lose_the_part_they_are_told_and_the_same_ones_for_the_same_seed() {
        let rolls = |part, seed, number| {
            let mut dice = Dice::new(Loss { part, seed }, number);
            (0..100_000).map(|_| dice.loses()).collect::<Vec<_>>()
        };
        let lost = |rolls: &[bool]| rolls.iter().filter(|lost| **lost).count();
        let five = rolls(0.05, 7, 0);
        assert!((4_800..5_200).contains(&lost(&five)), "{}", lost(&five));
        assert_eq!(five, rolls(0.05, 7, 0));
        assert_ne!(five, rolls(0.05, 8, 0));
        assert_ne!(five, rolls(0.05, 7, 1));
        assert_eq!((lost(&rolls(0.0, 7, 0)), lost(&rolls(1.0, 7, 0))), (0, 100_000));
    }
}
