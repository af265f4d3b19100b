//! From the bytes of one read to requests: cut, decoded, checked against the routes, and answered where no plugin is needed.

use std::sync::Arc;

use bytes::Bytes;
use duet_codec::ws::{Opcode, encode_close, encode_frame};
use duet_codec::{Cut, DecodeError, Packet, WsDecoder, WsEvent};
use duet_core::{ConnId, ErrorCode, Request, RequestKind, Requests, Route, RouteTable, Seq, Uid};
use duet_session::Heartbeat;

use crate::outbox::Cause;
use crate::resume::SessionAnswer;
use crate::session::Session;
use crate::throttle::{Throttle, Verdict};
use crate::{CloseReason, Overflow, Refusal, Sessions};

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
    pub(crate) sessions: &'a Sessions,
    pub(crate) session: &'a Arc<Session>,
    /// The task that reads, as [`Session::is_owned_by`] knows it.
    pub(crate) owner: u64,
    pub(crate) routes: &'a RouteTable,
    pub(crate) throttle: Option<&'a mut Throttle>,
    /// The answer to everything, if the gate takes nothing new.
    pub(crate) closed: Option<ErrorCode>,
    /// Who sends, as of the beginning of the read or of the resumption in it.
    pub(crate) conn: ConnId,
    pub(crate) uid: Option<Uid>,
    /// Requests for plugins.
    pub(crate) requests: Requests,
    /// Packets that the gate answers by itself.
    pub(crate) answers: Vec<u8>,
    pub(crate) answers_count: usize,
    /// What is sent last to a client that has said that it sends no more.
    pub(crate) farewell: Vec<u8>,
    /// Whole packets, of whatever kind.
    pub(crate) packets: usize,
    /// At some point no packet was unfinished: one that is now was begun by this read.
    pub(crate) is_fresh: bool,
    /// Messages, whether for plugins or refused, but without those about the session.
    pub(crate) messages: u64,
    /// The session that goes on with this socket.
    pub(crate) resumed: Option<Arc<Session>>,
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
    let format = harvest.session.profile.format;
    // The packet that was begun grows by what came for it, never by what it claims.
    while !partial.is_empty() {
        match format.cut(partial)? {
            Cut::Packet(bytes) => {
                harvest.is_fresh = true;
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
                // It goes after the answers to what came before.
                encode_close(code.unwrap_or(1000), "", &mut harvest.farewell);
                // A page that has finished closes with 1000 or without a code. Any other code means a failure of some sort, or a page that
                // is reloaded, and the client may come back.
                let reason = if matches!(code, None | Some(1000)) { CloseReason::Goodbye } else { CloseReason::ClientLeft };
                return Err(Fatal { reason, text: "" });
            }
        }
        // Not after a ping between the fragments of a message: the message is as old as before.
        harvest.is_fresh |= !decoder.is_partial();
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
        let profile = &self.session.profile;
        self.packets += 1;
        match profile.format.decode(profile.carrier, packet)? {
            Packet::Empty => {}
            Packet::Heartbeat { .. } => {
                if profile.timeouts.heartbeat == Heartbeat::Respond {
                    profile.heartbeat(&mut self.answers);
                    self.answers_count += 1;
                }
            }
            Packet::Data { route, seq, body, .. } => return self.message(Route(route), Seq(seq), body),
        }
        Ok(())
    }

    #[inline]
    fn message(&mut self, route: Route, seq: Seq, body: &[u8]) -> Result<(), Fatal> {
        match self.throttle.as_mut().map_or(Verdict::Pass, |throttle| throttle.message()) {
            Verdict::Pass => {}
            Verdict::Refuse => {
                self.refuse(route, seq, ErrorCode::BUSY, Some(Refusal::MessageRate));
                return Ok(());
            }
            Verdict::Close => return Err(Fatal { reason: CloseReason::Flood, text: "" }),
        }
        let (code, cause) = match self.routes.get(route) {
            _ if self.closed.is_some() => (self.closed.unwrap_or(ErrorCode::BUSY), self.shed()),
            _ if self.session.profile.sessions.route() == Some(route) => {
                self.about_session(route, seq, body);
                return Ok(());
            }
            None if self.routes.expects_more() => (ErrorCode::UNAVAILABLE, Some(Refusal::UnknownRoute)),
            None => (ErrorCode::UNKNOWN_ROUTE, Some(Refusal::UnknownRoute)),
            Some(entry) if entry.internal || (entry.authorized && self.uid.is_none()) => {
                (ErrorCode::NOT_AUTHORIZED, Some(Refusal::NotAuthorized))
            }
            Some(_) if self.is_too_long(route, body) => (ErrorCode::TOO_LARGE, Some(Refusal::Body)),
            Some(_) => {
                let (conn, uid) = (self.conn, self.uid);
                self.messages += 1;
                self.requests.push(&Request { kind: RequestKind::Message, conn, uid, route, seq, key: None, body });
                return Ok(());
            }
        };
        self.refuse(route, seq, code, cause);
        Ok(())
    }

    fn shed(&self) -> Option<Refusal> {
        (self.closed == Some(ErrorCode::BUSY)).then_some(Refusal::Shed)
    }

    fn is_too_long(&self, route: Route, body: &[u8]) -> bool {
        let routes = &self.sessions.options.routes;
        !routes.is_empty() && routes.get(&route).and_then(|policy| policy.body_bytes_max).is_some_and(|max| body.len() > max)
    }

    fn refuse(&mut self, route: Route, seq: Seq, code: ErrorCode, cause: Option<Refusal>) {
        if let Some(cause) = cause {
            self.sessions.stats.refuse(cause);
        }
        let session = self.resumed.as_ref().unwrap_or(self.session);
        // Neither side counts what is about the session.
        let counts = session.profile.sessions.route() != Some(route);
        self.messages += u64::from(counts);
        if !counts {
            self.answers_count += session.profile.session_error(route, seq, code, code.text(), &mut self.answers);
            return;
        }
        if !session.retains() {
            self.answers_count += session.profile.error(route, seq, code, text(code), &mut self.answers);
            return;
        }
        // The client counts it, so it has to be among those that are kept.
        let mut packet = Vec::new();
        if session.profile.error(route, seq, code, text(code), &mut packet) > 0 {
            session.add(&Bytes::from(packet), route, Overflow::Close, Cause::Asked);
            session.flush();
            self.sessions.bound_retained();
        }
    }

    /// A packet about the session. What came before it in this read is answered first.
    fn about_session(&mut self, route: Route, seq: Seq, body: &[u8]) {
        let session = self.resumed.as_ref().unwrap_or(self.session);
        session.send(&std::mem::take(&mut self.answers), std::mem::take(&mut self.answers_count));
        // With requests on their way it would be unclear whose they are.
        let may_resume = self.requests.is_empty();
        match self.sessions.session_request(session, self.owner, seq, body, may_resume) {
            Ok(SessionAnswer::Issued) => self.messages = 0,
            Ok(SessionAnswer::Acknowledged) => {}
            Ok(SessionAnswer::Resumed(resumed)) => {
                (self.conn, self.uid, self.messages) = (resumed.id, resumed.uid(), 0);
                self.resumed = Some(resumed);
            }
            Err(error) => {
                let (profile, text) = (&self.session.profile, error.to_string());
                self.answers_count += profile.session_error(route, seq, error.code(), &text, &mut self.answers);
            }
        }
    }
}

/// The text of the gate's own errors. For the gate, a route is unavailable only while plugins are being loaded.
const fn text(code: ErrorCode) -> &'static str {
    if code.0 == ErrorCode::UNAVAILABLE.0 { "compiling" } else { code.text() }
}
