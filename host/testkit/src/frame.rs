//! WebSocket frames built by hand, including those that are not allowed.

/// Opcodes of frames.
pub mod opcode {
    /// A further part of a message.
    pub const CONTINUATION: u8 = 0;
    /// A text message.
    pub const TEXT: u8 = 1;
    /// A binary message.
    pub const BINARY: u8 = 2;
    /// The end of the connection.
    pub const CLOSE: u8 = 8;
    /// A ping.
    pub const PING: u8 = 9;
    /// A pong.
    pub const PONG: u8 = 10;
}

const MASK: [u8; 4] = [0x5a, 0x01, 0xfe, 0x93];

/// A frame as a client may send it.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    raw_frame(0x80 | opcode, true, payload.len() as u64, payload)
}

/// A frame with any first byte, masked or not, that claims any length.
pub fn raw_frame(first: u8, masked: bool, claimed: u64, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match claimed {
        0..=125 => frame.push(mask_bit | claimed as u8),
        126..=0xffff => {
            frame.push(mask_bit | 126);
            frame.extend((claimed as u16).to_be_bytes());
        }
        _ => {
            frame.push(mask_bit | 127);
            frame.extend(claimed.to_be_bytes());
        }
    }
    if masked {
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        frame.extend(payload);
    }
    frame
}

/// Opcode, payload and length of the first frame of a server, once it is there as a whole.
///
/// # Panics
/// If it is masked, fragmented, or has a reserved bit: a server sends no such frame.
pub(crate) fn read_frame(stream: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (&first, &second) = (stream.first()?, stream.get(1)?);
    assert_eq!((first & 0xf0, second & 0x80), (0x80, 0), "a frame that no server sends: {first:#04x} {second:#04x}");
    let (start, bytes) = match second {
        126 => (4, usize::from(u16::from_be_bytes(stream.get(2..4)?.try_into().expect("two bytes")))),
        127 => (10, usize::try_from(u64::from_be_bytes(stream.get(2..10)?.try_into().expect("eight bytes"))).expect("a length")),
        bytes => (2, usize::from(bytes)),
    };
    Some((first & 0x0f, stream.get(start..start + bytes)?, start + bytes))
}
