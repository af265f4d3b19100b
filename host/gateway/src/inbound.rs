//! From the bytes of one read to requests: cut, decoded, checked against the routes, and answered where no plugin is needed.

use duet_codec::ws::{Opcode, encode_close, encode_frame};
use duet_codec::{Cut, DecodeError, Packet, WsDecoder, WsEvent};
use duet_core::{ErrorCode, Request, Requests, Route, RouteTable, Seq};
use duet_session::Heartbeat;

use crate::CloseReason;
use crate::connection::Connection;

/// The receiving side of a connection: what is left over of the last read.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// The beginning of a packet; empty and without memory between packets.
    Stream(Vec<u8>),
    Ws(Box<WsDecoder>),
}

/// What one read comes to.
#[derive(Debug)]
pub(crate) struct Harvest<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) routes: &'a RouteTable,
    /// The gate is stopping: nothing new is begun.
    pub(crate) going_away: bool,
    /// Requests for plugins.
    pub(crate) requests: Requests,
    /// Packets that the gate answers by itself.
    pub(crate) answers: Vec<u8>,
    pub(crate) answers_count: usize,
    /// Whole packets, of whatever kind.
    pub(crate) packets: usize,
}

/// The connection has to end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fatal {
    pub(crate) reason: CloseReason,
    pub(crate) text: &'static str,
}

impl From<DecodeError> for Fatal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooBig { .. } => Self { reason: CloseReason::Oversize, text: "packet above the limit" },
            _ => Self { reason: CloseReason::Protocol, text: "not a packet" },
        }
    }
}

impl Inbound {
    pub(crate) fn new(ws: Option<WsDecoder>) -> Self {
        ws.map_or_else(|| Self::Stream(Vec::new()), |decoder| Self::Ws(Box::new(decoder)))
    }

    /// Whether a packet was begun and not finished.
    pub(crate) fn is_partial(&self) -> bool {
        match self {
            Self::Stream(partial) => !partial.is_empty(),
            Self::Ws(decoder) => decoder.is_partial(),
        }
    }

    /// Takes the bytes of one read.
    pub(crate) fn take(&mut self, input: &mut [u8], harvest: &mut Harvest<'_>) -> Result<(), Fatal> {
        match self {
            Self::Stream(partial) => take_stream(partial, input, harvest),
            Self::Ws(decoder) => take_ws(decoder, input, harvest),
        }
    }
}

fn take_stream(partial: &mut Vec<u8>, mut input: &[u8], harvest: &mut Harvest<'_>) -> Result<(), Fatal> {
    let format = harvest.connection.profile.format;
    // The packet that was begun grows by what came for it, never by what it claims.
    while !partial.is_empty() {
        match format.cut(partial)? {
            Cut::Packet(bytes) => {
                harvest.packet(partial.get(..bytes).unwrap_or_default())?;
                *partial = Vec::new();
            }
            Cut::Need(bytes) => {
                let missing = bytes.saturating_sub(partial.len()).min(input.len());
                if missing == 0 {
                    return Ok(());
                }
                let (now, rest) = input.split_at(missing);
                partial.extend_from_slice(now);
                input = rest;
            }
        }
    }
    while !input.is_empty() {
        match format.cut(input)? {
            Cut::Packet(bytes) => {
                let Some((packet, rest)) = input.split_at_checked(bytes) else { break };
                harvest.packet(packet)?;
                input = rest;
            }
            Cut::Need(_) => {
                *partial = input.to_vec();
                break;
            }
        }
    }
    Ok(())
}

fn take_ws(decoder: &mut WsDecoder, mut input: &mut [u8], harvest: &mut Harvest<'_>) -> Result<(), Fatal> {
    loop {
        let (used, event) = decoder.next(input).map_err(|error| Fatal {
            reason: match error.code {
                1003 => CloseReason::Text,
                1009 => CloseReason::Oversize,
                _ => CloseReason::Protocol,
            },
            text: error.reason,
        })?;
        match event {
            None => return Ok(()),
            Some(WsEvent::Binary(packet)) => harvest.packet(packet)?,
            Some(WsEvent::Text(_)) => return Err(Fatal { reason: CloseReason::Text, text: "only binary messages" }),
            Some(WsEvent::Ping(payload)) => harvest.answer(|out| encode_frame(Opcode::Pong, payload, out)),
            Some(WsEvent::Pong(_)) => harvest.packets += 1,
            Some(WsEvent::Close { code, .. }) => {
                harvest.answer(|out| encode_close(code.unwrap_or(1000), "", out));
                return Err(Fatal { reason: CloseReason::ClientLeft, text: "" });
            }
        }
        input = input.get_mut(used..).unwrap_or_default();
    }
}

impl Harvest<'_> {
    fn answer(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.answers);
        self.answers_count += 1;
        self.packets += 1;
    }

    #[inline]
    fn packet(&mut self, packet: &[u8]) -> Result<(), Fatal> {
        let profile = &self.connection.profile;
        self.packets += 1;
        match profile.format.decode(profile.carrier, packet)? {
            Packet::Empty => {}
            Packet::Heartbeat { .. } => {
                if profile.timeouts.heartbeat == Heartbeat::Respond {
                    profile.heartbeat(&mut self.answers);
                    self.answers_count += 1;
                }
            }
            Packet::Data { route, seq, body, .. } => self.message(Route(route), Seq(seq), body),
        }
        Ok(())
    }

    #[inline]
    fn message(&mut self, route: Route, seq: Seq, body: &[u8]) {
        let uid = self.connection.uid();
        let refused = match self.routes.get(route) {
            _ if self.going_away => ErrorCode::GOING_AWAY,
            None => ErrorCode::UNKNOWN_ROUTE,
            Some(entry) if entry.internal || (entry.authorized && uid.is_none()) => ErrorCode::NOT_AUTHORIZED,
            Some(_) => {
                self.requests.push(&Request { conn: self.connection.id, uid, route, seq, body });
                return;
            }
        };
        self.answers_count += self.connection.profile.error(route, seq, refused, refused.text(), &mut self.answers);
    }
}
