//! What a WebSocket decoder makes of bytes that arrive in pieces, with events that own their payload.

use duet_codec::ws::{Role, WsDecoder, WsError, WsEvent};

/// An event that owns its payload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Binary(Vec<u8>),
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// The decoder failed with this close code.
    Failed(u16),
}

impl From<WsEvent<'_>> for Seen {
    fn from(event: WsEvent<'_>) -> Self {
        match event {
            WsEvent::Binary(payload) => Self::Binary(payload.to_vec()),
            WsEvent::Text(text) => Self::Text(text.to_owned()),
            WsEvent::Ping(payload) => Self::Ping(payload.to_vec()),
            WsEvent::Pong(payload) => Self::Pong(payload.to_vec()),
            WsEvent::Close { code, reason } => Self::Close(code, reason.to_owned()),
        }
    }
}

/// A decoder of a server that takes text and messages up to `message_bytes_max`.
pub(crate) fn server(message_bytes_max: usize) -> WsDecoder {
    WsDecoder::new(Role::Server, message_bytes_max, true)
}

/// The events of one read.
pub(crate) fn read(decoder: &mut WsDecoder, bytes: &[u8], seen: &mut Vec<Seen>) -> Result<(), WsError> {
    let mut bytes = bytes.to_vec();
    let mut unread = &mut bytes[..];
    loop {
        let (consumed, event) = decoder.next(unread)?;
        match event {
            Some(event) => seen.push(event.into()),
            None => {
                assert_eq!(consumed, unread.len());
                return Ok(());
            }
        }
        unread = &mut unread[consumed..];
    }
}

/// The events of a connection whose reads have the given sizes, over and over; ends with the failure if there is one.
pub(crate) fn read_in_pieces(decoder: &mut WsDecoder, stream: &[u8], pieces: &[usize]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut rest = stream;
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (arrived, later) = rest.split_at(rest.len().min(*piece));
        rest = later;
        if let Err(error) = read(decoder, arrived, &mut seen) {
            seen.push(Seen::Failed(error.code));
            break;
        }
    }
    seen
}

/// The events of `stream`, which must not depend on how it is split.
pub(crate) fn read_all(new: impl Fn() -> WsDecoder, stream: &[u8]) -> Vec<Seen> {
    let seen = read_in_pieces(&mut new(), stream, &[usize::MAX]);
    for pieces in [&[1][..], &[2], &[3], &[7], &[1, 5, 2, 100]] {
        assert_eq!(read_in_pieces(&mut new(), stream, pieces), seen, "in pieces of {pieces:?}");
    }
    seen
}

/// A masked frame, put together by hand. `first` is fin, reserved bits and opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [0xa1, 0x02, 0xf3, 0x44];
    let mut bytes = vec![first];
    match payload.len() {
        0..126 => bytes.push(0x80 | payload.len() as u8),
        126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}
