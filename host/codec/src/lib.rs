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
mod options;
pub mod ws;

pub use decode::{Cut, DecodeError, Packet};
pub use encode::EncodeError;
pub use field::ByteOrder;
pub use format::{BODY_BYTES_LIMIT, Carrier, EXTCODE_ERROR, EXTCODE_PLAIN, Format, FormatError, Profile};
pub use options::CodecOptions;
pub use ws::{WsDecoder, WsError, WsEvent};
