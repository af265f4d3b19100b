//! The wire format of client connections: bytes to packets and back, without I/O.
//!
//! A [`Format`] holds the settings of one listener and reads and writes packets. [`ws`] is the frame layer of a WebSocket
//! connection after its handshake. Every length a peer claims is checked here before anything is allocated for it.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod decode;
mod encode;
mod field;
mod format;
#[doc(hidden)]
pub mod fuzzing;
pub mod ws;

pub use decode::{Cut, DecodeError, Packet};
pub use encode::EncodeError;
pub use format::{BODY_BYTES_LIMIT, ByteOrder, Carrier, Format, FormatError, Profile};
pub use ws::{WsDecoder, WsError, WsEvent};

/// Extcode of a plain packet.
pub const EXTCODE_PLAIN: u8 = 0;
/// Extcode of an error packet: the body is a `u16` code, then a UTF-8 message that may be empty.
pub const EXTCODE_ERROR: u8 = 1;
