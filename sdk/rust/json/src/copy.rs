//! Short copies. Appending a number of bytes not known at compile time costs a guest a call into its engine; appending 16 costs an
//! instruction.

use crate::block::padded;

/// Longer than this, one call costs less than blocks.
const BLOCKS_MAX: usize = 64;

/// Appends the first `count` bytes of `bytes`.
#[inline(always)]
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8], count: usize) {
    let end = out.len() + count;
    match bytes.first_chunk::<16>() {
        Some(block) if count <= 16 => out.extend_from_slice(block),
        None => out.extend_from_slice(&padded(bytes)),
        Some(_) => append_long(out, bytes.get(..count).unwrap_or(bytes)),
    }
    out.truncate(end);
}

/// Appends more than 16 bytes.
#[inline(never)]
fn append_long(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() > BLOCKS_MAX {
        return out.extend_from_slice(bytes);
    }
    let (blocks, rest) = bytes.as_chunks::<16>();
    for block in blocks {
        out.extend_from_slice(block);
    }
    // The last 16 bytes overlap what was appended before.
    if let Some(last) = bytes.last_chunk::<16>().filter(|_| !rest.is_empty()) {
        out.truncate(out.len() + rest.len() - 16);
        out.extend_from_slice(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_of_every_length_is_copied() {
        let all: Vec<u8> = (0..=200).collect();
        for length in 0..all.len() {
            for count in 0..=length {
                let mut out = b"before".to_vec();
                append(&mut out, &all[..length], count);
                assert_eq!(out, [b"before", &all[..count]].concat());
            }
        }
    }
}
