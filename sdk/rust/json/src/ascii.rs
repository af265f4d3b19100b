//! Bytes that were found to be ASCII, as text.

use crate::block::{self, Ascii};

/// Splits off the plain ASCII at the beginning: up to a quote, a backslash, a control character or a byte above 0x7f.
#[allow(unsafe_code, reason = "the bytes were looked at one line before")]
#[inline(always)]
pub(crate) fn split(bytes: &[u8]) -> (&str, &[u8]) {
    let (run, rest) = block::split::<Ascii>(bytes);
    debug_assert!(run.is_ascii());
    // SAFETY: a run of `Ascii` has no byte above 0x7f, and ASCII is UTF-8. `block` has no `unsafe`: it compares every byte of the run
    // that it returns, and its tests compare it with a loop over single bytes for each length and each place of a byte that ends it.
    // Checking once more costs a quarter of the whole call at 1 KiB.
    (unsafe { std::str::from_utf8_unchecked(run) }, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_where_it_is_not_ascii_or_not_plain() {
        assert_eq!(split(b""), ("", b"".as_slice()));
        assert_eq!(split(b"plain\" and more"), ("plain", b"\" and more".as_slice()));
        assert_eq!(split("Müller".as_bytes()), ("M", "üller".as_bytes()));
        let long = format!("{}é", "x".repeat(200));
        assert_eq!(split(long.as_bytes()), ("x".repeat(200).as_str(), "é".as_bytes()));
    }
}
