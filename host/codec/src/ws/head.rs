//! The header of a frame, and what may be said in it.

use super::frame::{CONTROL_BYTES_MAX, Opcode, Role, WsError};
use super::mask::Mask;

/// Longest header: two bytes, a 64-bit length and a mask.
pub(super) const HEAD_BYTES_MAX: usize = 14;

const FIN_BIT: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE_BITS: u8 = 0x0f;
const MASK_BIT: u8 = 0x80;
const LENGTH_BITS: u8 = 0x7f;

/// A header that was read and found valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    /// All zero if the frame is not masked.
    pub(super) mask: Mask,
    pub(super) payload_bytes: usize,
    /// Length of the header itself.
    pub(super) head_bytes: usize,
}

/// What a header is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) role: Role,
    pub(super) accept_text: bool,
    /// A fragmented message has begun and is not at its end.
    pub(super) in_message: bool,
    /// How much longer the message may become.
    pub(super) bytes_left: usize,
}

impl Rules {
    /// The header at the start of `bytes`; None if it is not all there. An error comes as early as the bytes allow.
    #[inline]
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Option<Head>, WsError> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let fin = first & FIN_BIT != 0;
        let masked = second & MASK_BIT != 0;
        let short_length = second & LENGTH_BITS;
        let opcode = self.check_start(first, masked, short_length)?;
        let Some((length, rest)) = read_length(short_length, rest)? else {
            return Ok(None);
        };
        let payload_bytes = match usize::try_from(length) {
            Ok(bytes) if opcode.is_control() || bytes <= self.bytes_left => bytes,
            _ => return Err(WsError::TOO_BIG),
        };
        let (mask, rest) = if masked {
            let Some((key, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (Mask::new(*key), rest)
        } else {
            (Mask::default(), rest)
        };
        Ok(Some(Head { opcode, fin, mask, payload_bytes, head_bytes: bytes.len() - rest.len() }))
    }

    /// Everything that can be judged by the first two bytes.
    #[inline]
    fn check_start(&self, first: u8, masked: bool, short_length: u8) -> Result<Opcode, WsError> {
        if first & RESERVED_BITS != 0 {
            return Err(WsError::protocol("reserved bits are set"));
        }
        let opcode = match first & OPCODE_BITS {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Err(WsError::protocol("unknown opcode")),
        };
        match (self.role, masked) {
            (Role::Server, false) => return Err(WsError::protocol("frame is not masked")),
            (Role::Client, true) => return Err(WsError::protocol("frame is masked")),
            _ => {}
        }
        match opcode {
            Opcode::Continuation if !self.in_message => Err(WsError::protocol("continuation of no message")),
            Opcode::Text | Opcode::Binary if self.in_message => Err(WsError::protocol("message inside a message")),
            Opcode::Text if !self.accept_text => Err(WsError::TEXT_REFUSED),
            Opcode::Close | Opcode::Ping | Opcode::Pong if first & FIN_BIT == 0 => Err(WsError::protocol("control frame is fragmented")),
            Opcode::Close | Opcode::Ping | Opcode::Pong if usize::from(short_length) > CONTROL_BYTES_MAX => {
                Err(WsError::protocol("control frame is too long"))
            }
            _ => Ok(opcode),
        }
    }
}

/// The payload length and what follows it. A length must be written as short as possible.
#[inline]
fn read_length(short_length: u8, bytes: &[u8]) -> Result<Option<(u64, &[u8])>, WsError> {
    let (length, least, rest) = match short_length {
        126 => match bytes.split_first_chunk() {
            Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), 126, rest),
            None => return Ok(None),
        },
        127 => match bytes.split_first_chunk() {
            Some((length, rest)) => (u64::from_be_bytes(*length), 0x1_0000, rest),
            None => return Ok(None),
        },
        _ => (u64::from(short_length), 0, bytes),
    };
    if length < least {
        return Err(WsError::protocol("length is not written as short as possible"));
    }
    if length > i64::MAX as u64 {
        return Err(WsError::protocol("length has its highest bit set"));
    }
    Ok(Some((length, rest)))
}
