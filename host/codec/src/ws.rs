//! The frame layer of a WebSocket connection (RFC 6455) after its handshake, without I/O.
//!
//! A [`WsDecoder`] takes messages and control frames out of the bytes that were read; the functions append frames to what is to be
//! written. No extensions: reserved bits are an error.

mod close;
mod decode;
mod encode;
mod frame;
mod head;
mod mask;

pub use decode::WsDecoder;
pub use encode::{encode_close, encode_frame, encode_masked_frame, frame_header};
pub use frame::{CONTROL_BYTES_MAX, Opcode, Role, WsError, WsEvent};
