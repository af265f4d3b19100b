//! How a listener's packets look on the wire, its carrier included.

use std::time::{SystemTime, UNIX_EPOCH};

use duet_codec::ws::{Opcode, WsDecoder, encode_close, encode_frame, frame_header};
use duet_codec::{Carrier, EncodeError, Format};
use duet_core::{ErrorCode, Route, Seq};
use duet_session::Timeouts;

use crate::outbox::OutboxLimits;
use crate::{CloseReason, GatewayOptions, ListenerOptions, Protocol, SessionOptions};

/// What all connections of a listener share.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) format: Format,
    pub(crate) carrier: Carrier,
    pub(crate) timeouts: Timeouts,
    pub(crate) error_packets: bool,
    pub(crate) sessions: SessionOptions,
    /// What may wait for each of its clients.
    pub(crate) limits: OutboxLimits,
    heartbeat_time: bool,
    close_codes: Vec<(CloseReason, u16)>,
}

impl Profile {
    pub(crate) fn new(listener: &ListenerOptions, gate: &GatewayOptions) -> Self {
        let carrier = match listener.protocol {
            Protocol::Tcp | Protocol::Kcp(_) => Carrier::Stream,
            Protocol::Ws(_) => Carrier::Message,
        };
        Self {
            format: listener.format,
            carrier,
            timeouts: listener.timeouts,
            error_packets: listener.error_packets,
            sessions: listener.sessions.clone(),
            limits: OutboxLimits::new(gate, listener.format.packet_bytes_max()),
            heartbeat_time: listener.heartbeat_time,
            close_codes: listener.close_codes.clone(),
        }
    }

    /// The decoder of a new WebSocket, `None` on a plain stream.
    pub(crate) fn ws_decoder(&self) -> Option<WsDecoder> {
        let server = duet_codec::ws::Role::Server;
        (self.carrier == Carrier::Message).then(|| WsDecoder::new(server, self.format.packet_bytes_max(), false))
    }

    /// Appends a message. `out` is unchanged if it cannot be encoded.
    #[inline]
    pub(crate) fn message(&self, route: Route, seq: Seq, body: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        if self.carrier == Carrier::Message {
            frame_header(Opcode::Binary, self.format.packet_bytes(self.carrier, body.len()), out);
        }
        self.format.encode(self.carrier, route.0, seq.0, body, out).inspect_err(|_| out.truncate(start))
    }

    /// Appends an error packet; nothing if this listener has none, or if the route does not fit the format.
    pub(crate) fn error(&self, route: Route, seq: Seq, code: ErrorCode, message: &str, out: &mut Vec<u8>) -> usize {
        if self.error_packets { self.session_error(route, seq, code, message, out) } else { 0 }
    }

    /// The same on the session route, with or without error packets elsewhere: whoever asks there understands the answer.
    pub(crate) fn session_error(&self, route: Route, seq: Seq, code: ErrorCode, message: &str, out: &mut Vec<u8>) -> usize {
        let mut packet = Vec::with_capacity(64);
        if self.format.encode_error(self.carrier, route.0, seq.0, code.0, message, &mut packet).is_err() {
            return 0;
        }
        self.packet(&packet, out);
        1
    }

    /// Appends a heartbeat.
    pub(crate) fn heartbeat(&self, out: &mut Vec<u8>) {
        let time = self.heartbeat_time.then(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let mut packet = Vec::with_capacity(16);
        self.format.encode_heartbeat(self.carrier, time, &mut packet);
        self.packet(&packet, out);
    }

    /// The last bytes of a connection that the server closes.
    pub(crate) fn farewell(&self, reason: CloseReason, code: Option<ErrorCode>, text: &str, out: &mut Vec<u8>) {
        if let Some(code) = code {
            let text = if text.is_empty() { code.text() } else { text };
            self.error(Route(0), Seq::PUSH, code, text, out);
        }
        if self.carrier == Carrier::Message {
            let code = self.close_codes.iter().find(|(r, _)| *r == reason).map_or(reason.ws_code(), |(_, code)| *code);
            encode_close(code, text, out);
        }
    }

    fn packet(&self, packet: &[u8], out: &mut Vec<u8>) {
        match self.carrier {
            Carrier::Stream => out.extend_from_slice(packet),
            Carrier::Message => encode_frame(Opcode::Binary, packet, out),
        }
    }
}
