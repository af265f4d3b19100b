//! Where a run of plain bytes ends, 16 and 64 bytes at a time.
//!
//! Strings of messages are short: the first 16 bytes are checked inline, without a loop. Longer ones take a call: a loop inlined into the
//! code that serde generates keeps its registers in memory, and in a guest every round of a loop checks the budget.

use wide::u8x16;

/// The bytes that one mask of ends covers: one per bit.
pub(crate) const WINDOW: usize = 64;

/// What ends a run besides a quote, a backslash or a control character.
pub(crate) trait Run {
    /// Sets the highest bit of each byte that does; the other bits do not matter.
    fn ends(bytes: u8x16) -> u8x16;
}

/// A run of ASCII: bytes above 0x7f end it, and those have that bit set.
#[derive(Debug)]
pub(crate) enum Ascii {}

impl Run for Ascii {
    #[inline(always)]
    fn ends(bytes: u8x16) -> u8x16 {
        bytes
    }
}

/// A run of any text: nothing else ends it.
#[derive(Debug)]
pub(crate) enum Any {}

impl Run for Any {
    #[inline(always)]
    fn ends(_: u8x16) -> u8x16 {
        u8x16::splat(0)
    }
}

/// Splits off the run at the beginning.
#[inline(always)]
pub(crate) fn split<R: Run>(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at_checked(length::<R>(bytes)).unwrap_or((b"", bytes))
}

#[inline(always)]
fn length<R: Run>(bytes: &[u8]) -> usize {
    let Some(first) = bytes.first_chunk() else { return first_end::<R>(&padded(bytes)) };
    match ends::<R>(first) {
        0 => long_length::<R>(bytes),
        ends => ends.trailing_zeros() as usize,
    }
}

/// The same for at least 16 bytes, of which the first 16 are in the run.
#[inline(never)]
fn long_length<R: Run>(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((block, behind)) = rest.split_first_chunk::<64>() {
        if ends_within::<R>(block) {
            return bytes.len() - rest.len() + ends_of_64::<R>(block).trailing_zeros() as usize;
        }
        rest = behind;
    }
    while let Some((block, behind)) = rest.split_first_chunk() {
        if let ends @ 1.. = ends::<R>(block) {
            return bytes.len() - rest.len() + ends.trailing_zeros() as usize;
        }
        rest = behind;
    }
    // The last 16 bytes, of which the first were checked before and are shifted out.
    let last = bytes.last_chunk().map_or(0, |block| ends::<R>(block) >> (16 - rest.len()));
    bytes.len() - rest.len() + if last == 0 { rest.len() } else { last.trailing_zeros() as usize }
}

/// Where in the block the run ends; 16 if it does not.
#[inline(always)]
pub(crate) fn first_end<R: Run>(block: &[u8; 16]) -> usize {
    (ends::<R>(block) | 1 << 16).trailing_zeros() as usize
}

/// A bit for each byte that ends a run, the lowest for the first.
#[inline(always)]
fn ends<R: Run>(block: &[u8; 16]) -> u32 {
    ends_of_16::<R>(u8x16::new(*block))
}

#[inline(always)]
fn ends_of_16<R: Run>(bytes: u8x16) -> u32 {
    (controls(bytes) | quotes(bytes) | R::ends(bytes)).to_bitmask()
}

/// Marks control characters.
#[inline(always)]
fn controls(bytes: u8x16) -> u8x16 {
    // Up to 0x1f, not below 0x20: on x86 that is two instructions instead of four.
    bytes.simd_le(u8x16::splat(0x1f))
}

/// Marks quotes and backslashes.
#[inline(always)]
fn quotes(bytes: u8x16) -> u8x16 {
    bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'))
}

/// Whether a run ends in these 64 bytes. The lowest of four bytes tells whether any of them is a control character.
#[inline(always)]
pub(crate) fn ends_within<R: Run>(block: &[u8; 64]) -> bool {
    let [a, b, c, d] = quarters(block);
    let low = controls(a.min(b).min(c.min(d)));
    (low | (quotes(a) | quotes(b)) | (quotes(c) | quotes(d)) | R::ends((a | b) | (c | d))).any()
}

/// A bit for each of the first 64 bytes that ends a run, the lowest for the first.
#[inline(always)]
pub(crate) fn ends_of<R: Run>(bytes: &[u8]) -> u64 {
    if let Some(block) = bytes.first_chunk() {
        return ends_of_64::<R>(block);
    }
    let (blocks, rest) = bytes.as_chunks();
    let mut found = 0;
    for (block, shift) in blocks.iter().zip([0, 16, 32]) {
        found |= u64::from(ends::<R>(block)) << shift;
    }
    // The padding after the bytes is zero, which would count as an end.
    let behind = u64::MAX << bytes.len();
    found | (u64::from(ends::<R>(&padded(rest))) << (blocks.len() * 16)) & !behind
}

#[inline(always)]
fn ends_of_64<R: Run>(block: &[u8; 64]) -> u64 {
    let [a, b, c, d] = quarters(block);
    u64::from(ends_of_16::<R>(a) | ends_of_16::<R>(b) << 16) | u64::from(ends_of_16::<R>(c) | ends_of_16::<R>(d) << 16) << 32
}

#[inline(always)]
fn quarters(block: &[u8; 64]) -> [u8x16; 4] {
    match block.as_chunks().0 {
        [a, b, c, d] => [u8x16::new(*a), u8x16::new(*b), u8x16::new(*c), u8x16::new(*d)],
        _ => [u8x16::splat(0); 4],
    }
}

/// Fewer than 16 bytes, followed by zeros, which end every run.
///
/// Reads two words that overlap: copying a number of bytes not known at compile time costs a call.
#[inline(always)]
pub(crate) fn padded(bytes: &[u8]) -> [u8; 16] {
    let (low, high) = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let beyond = 8 * (16 - bytes.len() as u32);
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last).checked_shr(beyond).unwrap_or(0))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let beyond = 8 * (bytes.len() - 4);
        (u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << beyond, 0)
    } else {
        match bytes {
            [a] => (u64::from(*a), 0),
            [a, b] => (u64::from(u16::from_le_bytes([*a, *b])), 0),
            [a, b, c] => (u64::from(u32::from_le_bytes([*a, *b, *c, 0])), 0),
            _ => (0, 0),
        }
    };
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, byte by byte.
    fn naive(bytes: &[u8], ascii: bool) -> usize {
        bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20) || (ascii && *byte >= 0x80)).unwrap_or(bytes.len())
    }

    #[test]
    fn every_length_and_every_place_of_an_end_is_found() {
        for length in 0..200 {
            for place in 0..=length {
                for end in [b'"', b'\\', 0, 0x1f, 0x80, 0xff, b' ', 0x7f] {
                    let mut bytes = vec![b'a'; length];
                    if let Some(byte) = bytes.get_mut(place) {
                        *byte = end;
                    }
                    assert_eq!(split::<Ascii>(&bytes).0.len(), naive(&bytes, true), "{end} at {place} of {length}");
                    assert_eq!(split::<Any>(&bytes).0.len(), naive(&bytes, false), "{end} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn every_byte_is_an_end_or_is_not() {
        for byte in 0..=u8::MAX {
            for length in [1, 15, 16, 64, 80] {
                let bytes = vec![byte; length];
                assert_eq!(split::<Ascii>(&bytes).0.len(), naive(&bytes, true));
                assert_eq!(split::<Any>(&bytes).0.len(), naive(&bytes, false));
            }
        }
    }

    #[test]
    fn a_bit_is_set_for_each_end_of_up_to_64_bytes() {
        for length in 0..=64 {
            let bytes: Vec<u8> = (0..length).map(|index| if index % 3 == 0 { b'"' } else { b'a' }).collect();
            let expected = (0..length).filter(|index| index % 3 == 0).fold(0, |mask, index| mask | 1_u64 << index);
            assert_eq!(ends_of::<Any>(&bytes), expected, "{length}");
        }
    }

    #[test]
    fn zeros_stand_behind_what_is_padded() {
        for length in 0..16 {
            let bytes: Vec<u8> = (1..=length).collect();
            let padded = padded(&bytes);
            let (head, tail) = padded.split_at(bytes.len());
            assert_eq!(head, bytes);
            assert!(tail.iter().all(|byte| *byte == 0));
        }
    }
}
