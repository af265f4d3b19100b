//! One of those that get broadcasts: checks that each arrives once.

use std::io;

use duet_codec::Packet;
use mio::net::TcpStream;
use mio::{Registry, Token};

use super::flights::Flights;
use crate::dial::Dialled;
use crate::end::End;
use crate::inlet::{Buffer, Event, Inlet};
use crate::line::{Line, write};
use crate::tally::{Clock, Tally};

/// Route that joins a channel.
pub(super) const JOIN: i32 = 7;
/// Route that publishes to a channel.
pub(super) const PUBLISH: i32 = 9;
/// Route on which that arrives.
pub(super) const PUBLISHED: i32 = 103;
/// Route that broadcasts to all.
pub(super) const BROADCAST: i32 = 6;
/// Route on which that arrives.
pub(super) const BROADCASTED: i32 = 102;

/// Digits of a broadcast's number at the beginning of its text.
pub(super) const NUMBER_DIGITS: usize = 10;
/// The most broadcasts under way. A listener can remember 64 that came out of order.
pub(super) const WINDOW_MAX: u64 = 32;

/// What arrives begins like this.
const BEFORE_NUMBER: &[u8] = br#"{"text":""#;

pub(super) struct Listener {
    line: TcpStream,
    open: bool,
    inlet: Inlet,
    arrivals: Arrivals,
    member: bool,
}

/// Which broadcasts have arrived.
#[derive(Debug, Default)]
struct Arrivals {
    /// The first that has not.
    next: u64,
    /// Those after it that have: bit 0 is the one after `next`.
    ahead: u64,
}

/// What an arrival is.
#[derive(Debug, PartialEq, Eq)]
enum Arrival {
    InOrder,
    Early,
    Again,
}

impl Listener {
    /// Asks to join; the answer makes it a member.
    pub(super) fn join(dialled: Dialled<TcpStream>, registry: &Registry, token: Token, join: &[u8]) -> io::Result<Self> {
        let Dialled { mut line, received } = dialled;
        line.register(registry, token)?;
        if write(&mut line, join)? != Some(join.len()) {
            return Err(io::Error::other("a new connection does not take the first message"));
        }
        Ok(Self { line, open: true, inlet: Inlet::new(received), arrivals: Arrivals::default(), member: false })
    }

    pub(super) fn is_member(&self) -> bool {
        self.member
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Returns how many connections that closed: 1, or 0 if it was closed before.
    pub(super) fn shut(&mut self, registry: &Registry) -> usize {
        self.line.shut(registry);
        usize::from(std::mem::take(&mut self.open))
    }

    /// Writes what the socket takes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, End> {
        Ok(write(&mut self.line, bytes)?.unwrap_or(0))
    }

    /// Reads all there is.
    pub(super) fn drain(
        &mut self,
        route: i32,
        buffer: &mut Buffer,
        clock: &mut Clock,
        tally: &mut Tally,
        flights: &mut Flights,
    ) -> Result<(), End> {
        if !self.open {
            return Ok(());
        }
        let Self { line, inlet, arrivals, member, .. } = self;
        let drained = inlet.drain(line, buffer, |event| {
            match event {
                Event::Read(count) => {
                    clock.tick();
                    tally.bytes_in += count as u64;
                }
                Event::Packet(Packet::Data { extcode: 0, route: on, body, .. }) if on == route => {
                    arrivals.take(body, clock, tally, flights);
                }
                Event::Packet(Packet::Data { extcode: 0, route: JOIN, .. }) => *member = true,
                // The answer to the request for a broadcast; a format without a seq cannot tell it from a push.
                Event::Packet(Packet::Data { extcode: 0, route: PUBLISH | BROADCAST, .. }) => {}
                Event::Packet(Packet::Data { extcode: 1, body, .. }) => {
                    let code = body.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
                    *tally.errors.entry(code).or_default() += 1;
                }
                Event::Packet(Packet::Data { route, .. }) => tally.bad(format_args!("a message on route {route}")),
                Event::Packet(Packet::Empty | Packet::Heartbeat { .. }) | Event::Ping(_) => {}
            }
            Ok(())
        });
        tally.flush();
        drained
    }
}

impl Arrivals {
    fn take(&mut self, body: &[u8], clock: &Clock, tally: &mut Tally, flights: &mut Flights) {
        let Some(number) = number(body) else {
            tally.bad(format_args!("a broadcast without a number"));
            return;
        };
        match self.note(number) {
            Arrival::InOrder => {}
            Arrival::Early => tally.reordered += 1,
            Arrival::Again => {
                tally.bad(format_args!("broadcast {number} came twice"));
                return;
            }
        }
        let Some(sent_at) = flights.deliver(number) else {
            tally.bad(format_args!("broadcast {number} is not under way"));
            return;
        };
        tally.answered(clock.micros().wrapping_sub(sent_at));
    }

    fn note(&mut self, number: u64) -> Arrival {
        let Some(ahead) = number.checked_sub(self.next) else { return Arrival::Again };
        if ahead == 0 {
            let in_row = self.ahead.trailing_ones();
            self.next += 1 + u64::from(in_row);
            self.ahead = self.ahead.checked_shr(in_row + 1).unwrap_or(0);
            return Arrival::InOrder;
        }
        let bit = 1_u64.checked_shl(u32::try_from(ahead - 1).unwrap_or(u32::MAX)).unwrap_or(0);
        if self.ahead & bit != 0 {
            return Arrival::Again;
        }
        self.ahead |= bit;
        Arrival::Early
    }
}

fn number(body: &[u8]) -> Option<u64> {
    let digits = body.strip_prefix(BEFORE_NUMBER)?.get(..NUMBER_DIGITS)?;
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broadcast_is_taken_once_in_any_order() {
        let mut arrivals = Arrivals::default();
        let mut note = |numbers: &[u64]| numbers.iter().map(|number| arrivals.note(*number)).collect::<Vec<_>>();
        assert_eq!(note(&[0, 1]), [Arrival::InOrder, Arrival::InOrder]);
        assert_eq!(note(&[4, 3, 2, 5]), [Arrival::Early, Arrival::Early, Arrival::InOrder, Arrival::InOrder]);
        assert_eq!(note(&[8, 6]), [Arrival::Early, Arrival::InOrder]);
        assert_eq!(note(&[8, 6, 3]), [Arrival::Again, Arrival::Again, Arrival::Again]);
        assert_eq!(note(&[7, 9]), [Arrival::InOrder, Arrival::InOrder]);
    }

    #[test]
    fn the_number_stands_at_the_beginning_of_the_text() {
        assert_eq!(number(br#"{"text":"0000000042abc"}"#), Some(42));
        for bad in [&br#"{"text":"42"}"#[..], br#"{"message":"0000000042"}"#, b""] {
            assert_eq!(number(bad), None);
        }
    }
}
