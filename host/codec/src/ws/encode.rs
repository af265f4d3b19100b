//! Writing frames; each holds a whole message.

use super::frame::{CONTROL_BYTES_MAX, Opcode};
use super::mask::Mask;
use crate::encode::cut_text;

const FIN_BIT: u8 = 0x80;
const MASK_BIT: u8 = 0x80;
/// Stands for "the peer gave no code"; it is never written.
const NO_CODE: u16 = 1005;
/// Bytes of a close code.
const CODE_BYTES: usize = 2;

/// Appends an unmasked frame to `out`, as a server sends it. The payload of a control frame is cut at 125 bytes.
#[inline]
pub fn encode_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    let payload = cut_payload(opcode, payload);
    frame_header(opcode, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends a masked frame to `out`, as a client sends it. The payload of a control frame is cut at 125 bytes.
pub fn encode_masked_frame(opcode: Opcode, key: [u8; 4], payload: &[u8], out: &mut Vec<u8>) {
    let payload = cut_payload(opcode, payload);
    write_header(opcode, payload.len(), MASK_BIT, out);
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(payload);
    Mask::new(key).apply(out.get_mut(start..).unwrap_or_default());
}

/// Appends the header of an unmasked frame to `out`; the payload, exactly `payload_len` bytes, is to be appended after it. A control
/// frame must have at most 125 bytes.
#[inline]
pub fn frame_header(opcode: Opcode, payload_len: usize, out: &mut Vec<u8>) {
    write_header(opcode, payload_len, 0, out);
}

/// Appends an unmasked close frame to `out`. The reason is cut at a character to 123 bytes. The code 1005, which stands for no code,
/// gives an empty close frame.
pub fn encode_close(code: u16, reason: &str, out: &mut Vec<u8>) {
    if code == NO_CODE {
        return frame_header(Opcode::Close, 0, out);
    }
    let reason = cut_text(reason, CONTROL_BYTES_MAX - CODE_BYTES);
    frame_header(Opcode::Close, CODE_BYTES + reason.len(), out);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

#[inline]
fn write_header(opcode: Opcode, payload_len: usize, mask_bit: u8, out: &mut Vec<u8>) {
    // Room for the payload as well: one allocation instead of two.
    out.reserve(super::head::HEAD_BYTES_MAX + payload_len);
    let first = FIN_BIT | opcode as u8;
    if payload_len < 126 {
        out.extend_from_slice(&[first, mask_bit | payload_len as u8]);
    } else if let Ok(length) = u16::try_from(payload_len) {
        let [a, b] = length.to_be_bytes();
        out.extend_from_slice(&[first, mask_bit | 126, a, b]);
    } else {
        out.extend_from_slice(&[first, mask_bit | 127]);
        out.extend_from_slice(&(payload_len as u64).to_be_bytes());
    }
}

#[inline]
fn cut_payload(opcode: Opcode, payload: &[u8]) -> &[u8] {
    if opcode.is_control() { payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload) } else { payload }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_written_as_short_as_possible() {
        for (length, head) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            frame_header(Opcode::Binary, length, &mut out);
            assert_eq!(out, head);
        }
    }

    #[test]
    fn control_frames_are_cut_to_what_is_allowed() {
        let mut out = Vec::new();
        encode_frame(Opcode::Pong, &[7; 200], &mut out);
        assert_eq!((out.len(), &out[..3]), (127, &[0x8a, 125, 7][..]));
        out.clear();
        encode_close(1002, &"ä".repeat(100), &mut out);
        assert_eq!((out.len(), &out[..4]), (2 + 2 + 122, &[0x88, 124, 0x03, 0xea][..]));
    }

    #[test]
    fn no_code_gives_an_empty_close_frame() {
        let mut out = Vec::new();
        encode_close(1005, "ignored", &mut out);
        assert_eq!(out, [0x88, 0]);
    }

    #[test]
    fn a_masked_frame_has_its_key_behind_the_length() {
        let mut out = Vec::new();
        encode_masked_frame(Opcode::Text, [0x37, 0xfa, 0x21, 0x3d], b"Hello", &mut out);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }
}
