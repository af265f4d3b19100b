//! How far the seqs of a format count.

use duet_codec::Format;

/// The largest seq the format can carry, since seqs are signed; 0 if it has no seq field.
pub(crate) fn seq_max(format: &Format) -> i32 {
    match format.seq_bytes() {
        0 => 0,
        1 => i8::MAX.into(),
        2 => i16::MAX.into(),
        _ => i32::MAX,
    }
}
