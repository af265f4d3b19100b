//! The few ws frames a load generator needs: masked ones with a zero key out, plain ones in.

use std::ops::Range;

/// Opcode of a binary message.
pub(super) const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
/// Opcode of the answer to a ping.
pub(super) const PONG: u8 = 0xa;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Masking with zeros changes nothing, so a frame can be written as it is.
const ZERO_KEY: [u8; 4] = [0; 4];
/// The longest payload of a ping or close.
const CONTROL_BYTES_MAX: usize = 125;
/// The longest header of a frame that is not masked.
pub(super) const HEADER_BYTES_MAX: usize = 10;

/// A frame of the server. Ranges are in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) payload: Range<usize>,
}

/// What a frame of the server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Binary,
    Ping,
    Pong,
    Close,
}

/// Appends the header of a masked frame.
pub(super) fn put_header(opcode: u8, payload_bytes: usize, out: &mut Vec<u8>) {
    out.push(FIN | opcode);
    if payload_bytes <= CONTROL_BYTES_MAX {
        out.push(MASKED | payload_bytes as u8);
    } else if let Ok(short) = u16::try_from(payload_bytes) {
        out.push(MASKED | 126);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(MASKED | 127);
        out.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
    }
    out.extend_from_slice(&ZERO_KEY);
}

/// Cuts the first frame out of `input`; `None` if it is not complete.
///
/// # Errors
/// What a server must not send, or what nothing here needs: text and fragments.
pub(super) fn cut(input: &[u8], payload_bytes_max: usize) -> Result<Option<Frame>, &'static str> {
    let Some([first, second]) = input.first_chunk::<2>() else { return Ok(None) };
    let kind = match first {
        b if *b == FIN | BINARY => Kind::Binary,
        b if *b == FIN | PING => Kind::Ping,
        b if *b == FIN | PONG => Kind::Pong,
        b if *b == FIN | CLOSE => Kind::Close,
        _ => return Err("a ws frame that is not a whole binary message"),
    };
    let (payload_bytes, header_bytes) = match second {
        126 => match input.get(2..).and_then(<[u8]>::first_chunk) {
            Some(size) => (u64::from(u16::from_be_bytes(*size)), 4),
            None => return Ok(None),
        },
        127 => match input.get(2..).and_then(<[u8]>::first_chunk) {
            Some(size) => (u64::from_be_bytes(*size), 10),
            None => return Ok(None),
        },
        128.. => return Err("a masked ws frame of the server"),
        size => (u64::from(*size), 2),
    };
    let payload_bytes = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
    if payload_bytes > payload_bytes_max.max(CONTROL_BYTES_MAX) || (kind != Kind::Binary && payload_bytes > CONTROL_BYTES_MAX) {
        return Err("a ws frame that is too long");
    }
    let end = header_bytes + payload_bytes;
    Ok((input.len() >= end).then_some(Frame { kind, payload: header_bytes..end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frame as a server would send it: without the mask.
    fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        put_header(opcode, payload.len(), &mut frame);
        frame[1] &= 0x7f;
        frame.truncate(frame.len() - 4);
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn frames_of_all_three_header_sizes_are_cut() {
        for (size, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut input = server_frame(BINARY, &vec![7; size]);
            assert_eq!(cut(&input[..input.len() - 1], 70_000).unwrap(), None, "{size}");
            input.push(0x82);
            assert_eq!(cut(&input, 70_000).unwrap(), Some(Frame { kind: Kind::Binary, payload: header..header + size }));
        }
        assert_eq!(cut(&[0x82], 9).unwrap(), None);
    }

    #[test]
    fn control_frames_are_told_apart() {
        for (opcode, kind) in [(PING, Kind::Ping), (PONG, Kind::Pong), (CLOSE, Kind::Close)] {
            assert_eq!(cut(&server_frame(opcode, b"ab"), 0).unwrap().unwrap(), Frame { kind, payload: 2..4 });
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_refused_from_its_header() {
        for bad in [&[0x81, 1][..], &[0x02, 1], &[0x82, 0x81], &[0xc2, 1], &[0x89, 126, 0, 200], &[0x82, 127, 255, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(cut(bad, 70_000).is_err(), "{bad:?}");
        }
    }
}
