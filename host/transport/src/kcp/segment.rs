//! Segments of KCP inside a datagram: reading them, and checking what the protocol core takes on trust.

use super::stats::Refusal;

/// Bytes before the data of a segment.
pub(super) const HEAD_BYTES: usize = kcp::KCP_OVERHEAD;

/// Commands of segments.
pub(super) const PUSH: u8 = 81;
pub(super) const ACK: u8 = 82;
pub(super) const ASK_WINDOW: u8 = 83;
pub(super) const TELL_WINDOW: u8 = 84;

/// Where a segment has its command, and the number of fragments after it.
const COMMAND_AT: usize = 4;
const FRAGMENTS_AT: usize = 5;

/// No two numbers of honest peers are further apart than this. Closer together, the core's arithmetic cannot overflow.
const NUMBERS_APART_MAX: u32 = 1 << 20;
/// An echo of a timestamp that is older, in milliseconds, says nothing about the round trip.
const ECHO_AGE_MAX: u32 = 60_000;

/// Types of the frames that kcp-go makes for error correction; their head is number (4 bytes), type (2) and size of the rest (2).
const FRAME_DATA: u16 = 0xf1;
const FRAME_PARITY: u16 = 0xf2;
const FRAME_OUT_OF_BAND: u16 = 0xf3;
const FRAME_TYPE_AT: usize = 4;
const FRAME_SIZE_AT: usize = 6;
const FRAME_HEAD_BYTES: usize = 8;

/// What comes before the data of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) conv: u32,
    pub(super) command: u8,
    /// How many more segments its sender takes.
    pub(super) window: u16,
    pub(super) timestamp: u32,
    pub(super) number: u32,
    /// The first number that its sender has not received.
    pub(super) expected: u32,
    /// Bytes of data.
    pub(super) length: u32,
}

impl Head {
    /// The head at the beginning of `bytes`, if it is whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            conv: u32_at(bytes, 0)?,
            command: *bytes.get(COMMAND_AT)?,
            window: u16_at(bytes, 6)?,
            timestamp: u32_at(bytes, 8)?,
            number: u32_at(bytes, 12)?,
            expected: u32_at(bytes, 16)?,
            length: u32_at(bytes, 20)?,
        })
    }

    /// Appends the head of a segment that is not a fragment.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.conv.to_le_bytes());
        to.extend_from_slice(&[self.command, 0]);
        to.extend_from_slice(&self.window.to_le_bytes());
        for field in [self.timestamp, self.number, self.expected, self.length] {
            to.extend_from_slice(&field.to_le_bytes());
        }
    }
}

/// The segments in a datagram, out of their frame if they are in one.
pub(super) fn unframed(datagram: &mut [u8]) -> Result<&mut [u8], Refusal> {
    // A segment has its command and fragments here: 81 to 84 in the low byte, which is none of the types.
    match u16_at(datagram, FRAME_TYPE_AT) {
        Some(FRAME_DATA) => {
            let size = u16_at(datagram, FRAME_SIZE_AT).map_or(0, usize::from);
            datagram.get_mut(FRAME_HEAD_BYTES..FRAME_SIZE_AT + size).ok_or(Refusal::Malformed)
        }
        Some(FRAME_PARITY | FRAME_OUT_OF_BAND) => Err(Refusal::Ignored),
        _ => Ok(datagram),
    }
}

/// The heads of the segments of a datagram, each with its position. Ends with `None` where the rest is not a segment.
pub(super) fn heads(segments: &[u8]) -> impl Iterator<Item = Option<(usize, Head)>> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let at = next.take()?;
        let rest = segments.get(at..)?;
        // The core ignores less than a head, too.
        if rest.len() < HEAD_BYTES {
            return None;
        }
        let head = Head::read(rest).filter(|head| head.length as usize <= rest.len() - HEAD_BYTES);
        next = head.map(|head| at + HEAD_BYTES + head.length as usize);
        Some(head.map(|head| (at, head)))
    })
}

/// What a datagram says of a client that is about to begin, if it is one.
#[derive(Debug)]
pub(super) struct Opening {
    /// What acknowledges the greeting, and may return a cookie. A client that has received nothing after it expects number 1.
    pub(super) proof: Option<Head>,
    /// The number that its sender expects, if it sends its first segment.
    pub(super) begins: Option<u32>,
}

impl Opening {
    /// Looks for both in the segments of a datagram.
    pub(super) fn read(segments: &[u8], conv: u32) -> Result<Self, Refusal> {
        let mut opening = Self { proof: None, begins: None };
        for head in heads(segments) {
            let Some((_, head)) = head.filter(|(_, head)| head.conv == conv) else { return Err(Refusal::Malformed) };
            match head.command {
                // Only the first counts, so that one datagram is one guess.
                ACK if head.number == 0 && opening.proof.is_none() => opening.proof = Some(head),
                PUSH if head.number == 0 => opening.begins = Some(head.expected),
                _ => {}
            }
        }
        Ok(opening)
    }
}

/// What a connection knows about the numbers and timestamps that may come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) conv: u32,
    /// The time in milliseconds.
    pub(super) now: u32,
    /// The number that will be sent next.
    pub(super) next: u32,
    /// The number that was expected when something was last sent.
    pub(super) expected: u32,
}

/// Makes a datagram fit for the core, or refuses it as a whole. Returns how many of its segments want an answer.
pub(super) fn admit(segments: &mut [u8], bounds: &Bounds) -> Result<usize, Refusal> {
    let mut wanting = 0;
    let mut at = 0;
    loop {
        let rest = segments.get(at..).unwrap_or_default();
        let (_, head) = match heads(rest).next() {
            Some(Some(found)) => found,
            Some(None) => return Err(Refusal::Malformed),
            None if at == 0 => return Err(Refusal::Malformed),
            None => return Ok(wanting),
        };
        if head.conv != bounds.conv || bounds.next.wrapping_sub(head.expected) > NUMBERS_APART_MAX {
            return Err(Refusal::Malformed);
        }
        match head.command {
            PUSH => {
                if head.number.wrapping_sub(bounds.expected).cast_signed().unsigned_abs() > NUMBERS_APART_MAX {
                    return Err(Refusal::Malformed);
                }
                // To a stream it does not matter where messages end, and a message that never ends would block it.
                set(segments, at + FRAGMENTS_AT, 0);
                wanting += 1;
            }
            ACK => {
                // Number 0 is the greeting, its timestamp a cookie. The rest of what the segment says still counts.
                let sent = head.number != 0 && (1..=NUMBERS_APART_MAX).contains(&bounds.next.wrapping_sub(head.number));
                if !sent || bounds.now.wrapping_sub(head.timestamp) > ECHO_AGE_MAX {
                    set(segments, at + COMMAND_AT, TELL_WINDOW);
                }
            }
            ASK_WINDOW => wanting += 1,
            TELL_WINDOW => {}
            _ => return Err(Refusal::Malformed),
        }
        at += HEAD_BYTES + head.length as usize;
    }
}

fn set(bytes: &mut [u8], at: usize, value: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = value;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests;
