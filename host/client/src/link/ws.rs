//! Packets as binary ws messages, by tungstenite: an implementation independent of the server's own frame layer.

use bytes::Bytes;
use duet_codec::Format;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::socket::Socket;
use super::stream;
use crate::endpoint::Endpoint;
use crate::error::{ClientError, CloseReason};

/// RFC 6455: stands for a close frame without a code.
const NO_STATUS: u16 = 1005;
/// A client talks to one server with small packets; tungstenite's 128 KiB would be most of its memory.
const BUFFER_BYTES: usize = 16 * 1024;

pub(crate) struct Reader {
    stream: SplitStream<WebSocketStream<Socket>>,
}

pub(crate) struct Writer {
    sink: SplitSink<WebSocketStream<Socket>, Message>,
}

pub(super) async fn upgrade(socket: Socket, endpoint: &Endpoint, format: &Format) -> Result<(Reader, Writer), ClientError> {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(format.packet_bytes_max()))
        .max_frame_size(Some(format.packet_bytes_max()));
    let (stream, _response) = tokio_tungstenite::client_async_with_config(endpoint.to_string(), socket, Some(config))
        .await
        .map_err(|error| refused(endpoint, error))?;
    let (sink, stream) = stream.split();
    Ok((Reader { stream }, Writer { sink }))
}

impl Reader {
    pub(super) async fn read(&mut self) -> Result<Bytes, CloseReason> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Binary(packet))) => return Ok(packet),
                Some(Ok(Message::Text(_))) => return Err(CloseReason::Malformed("a text message".to_owned())),
                Some(Ok(Message::Close(frame))) => return Err(close_frame(frame)),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(close_reason(&error)),
                None => return Err(CloseReason::EndOfStream),
            }
        }
    }
}

impl Writer {
    pub(super) async fn write(&mut self, packets: &mut Vec<Bytes>) -> Result<(), CloseReason> {
        for packet in packets.drain(..) {
            self.sink.feed(Message::Binary(packet)).await.map_err(|error| close_reason(&error))?;
        }
        self.sink.flush().await.map_err(|error| close_reason(&error))
    }

    pub(super) async fn finish(&mut self) -> Result<(), CloseReason> {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        self.sink.send(Message::Close(Some(frame))).await.map_err(|error| close_reason(&error))
    }

    /// Writes our half of a closing handshake that the peer began.
    pub(super) async fn release(&mut self) -> Result<(), CloseReason> {
        self.sink.close().await.map_err(|error| close_reason(&error))
    }
}

/// Why there was no upgrade: the server said so in HTTP, or spoke something else.
fn refused(endpoint: &Endpoint, error: Error) -> ClientError {
    let (endpoint, is_http) = (endpoint.clone(), matches!(error, Error::Http(_)));
    let source = Box::new(error);
    if is_http { ClientError::Upgrade { endpoint, source } } else { ClientError::NotWs { endpoint, source } }
}

fn close_frame(frame: Option<CloseFrame>) -> CloseReason {
    match frame {
        Some(frame) => CloseReason::CloseFrame { code: frame.code.into(), reason: frame.reason.to_string() },
        None => CloseReason::CloseFrame { code: NO_STATUS, reason: String::new() },
    }
}

fn close_reason(error: &Error) -> CloseReason {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => CloseReason::EndOfStream,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => CloseReason::EndOfStream,
        Error::Io(error) => stream::close_reason(error),
        other => CloseReason::Malformed(other.to_string()),
    }
}
