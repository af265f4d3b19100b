//! What a connection has to read, cut into packets.

use std::io::{ErrorKind, Read};

use duet_codec::{Carrier, Cut, Format, Packet};

use super::end::End;
use super::line::Line;
use super::ws;
use duet_client::Endpoint;

/// Bytes taken from the system in one read.
const READ_BYTES: usize = 256 * 1024;

/// What all connections read into, one after the other.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    format: Format,
    carrier: Carrier,
}

/// The receiving side of one connection: the part of a packet that was read without its end.
#[derive(Debug, Default)]
pub(super) struct Inlet {
    held: Vec<u8>,
}

/// What was read.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// This many bytes; the packets in them follow.
    Read(usize),
    Packet(Packet<'a>),
    /// A ws ping with this payload.
    Ping(&'a [u8]),
}

impl Buffer {
    pub(super) fn new(endpoint: &Endpoint, format: &Format) -> Self {
        let whole = format.packet_bytes_max() + ws::HEADER_BYTES_MAX;
        Self { bytes: vec![0; READ_BYTES + whole], format: *format, carrier: endpoint.transport().carrier() }
    }
}

impl Inlet {
    /// One that goes on with bytes that were read before.
    pub(super) fn new(received: Vec<u8>) -> Self {
        Self { held: received }
    }

    /// Reads all there is.
    #[inline]
    pub(super) fn drain<L: Line>(
        &mut self,
        line: &mut L,
        buffer: &mut Buffer,
        mut take: impl FnMut(Event<'_>) -> Result<(), End>,
    ) -> Result<(), End> {
        loop {
            let held = self.held.len();
            let Some((front, space)) = buffer.bytes.split_at_mut_checked(held) else {
                return Err(End::Format("more than a packet without an end".to_owned()));
            };
            let count = match Read::read(line, space) {
                Ok(0) => return Err(End::Stream),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            // A read that leaves space has emptied a socket; what comes later is a new edge.
            let emptied = L::SHORT_READ_IS_LAST && count < space.len();
            front.copy_from_slice(&self.held);
            self.held.clear();
            take(Event::Read(count))?;
            self.cut(buffer, held + count, &mut take)?;
            if emptied {
                return Ok(());
            }
        }
    }

    /// Gives the whole packets in the first `filled` bytes of the buffer and holds the rest back.
    #[inline]
    fn cut(&mut self, buffer: &Buffer, filled: usize, take: &mut impl FnMut(Event<'_>) -> Result<(), End>) -> Result<(), End> {
        let Buffer { bytes, format, carrier } = buffer;
        let mut rest = bytes.get(..filled).unwrap_or_default();
        let broken = |error: &dyn std::fmt::Display| End::Format(error.to_string());
        loop {
            let (packet, behind) = match carrier {
                Carrier::Stream => {
                    let Cut::Packet(size) = format.cut(rest).map_err(|error| broken(&error))? else { break };
                    let Some(parts) = rest.split_at_checked(size) else { break };
                    parts
                }
                Carrier::Message => {
                    let Some(frame) = ws::cut(rest, format.packet_bytes_max()).map_err(|error| broken(&error))? else { break };
                    let behind = rest.get(frame.payload.end..).unwrap_or_default();
                    let payload = rest.get(frame.payload).unwrap_or_default();
                    if frame.kind != ws::Kind::Binary {
                        rest = behind;
                        take_control(frame.kind, payload, take)?;
                        continue;
                    }
                    (payload, behind)
                }
            };
            rest = behind;
            take(Event::Packet(format.decode(*carrier, packet).map_err(|error| broken(&error))?))?;
        }
        self.held.extend_from_slice(rest);
        Ok(())
    }
}

fn take_control(kind: ws::Kind, payload: &[u8], take: &mut impl FnMut(Event<'_>) -> Result<(), End>) -> Result<(), End> {
    match kind {
        // RFC 6455: 1005 stands for a close frame without a code.
        ws::Kind::Close => Err(End::CloseFrame(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)))),
        ws::Kind::Ping => take(Event::Ping(payload)),
        ws::Kind::Pong | ws::Kind::Binary => Ok(()),
    }
}
