//! Strings.

use super::writer::Writer;
use crate::block::{Any, WINDOW, ends_of, ends_within, first_end, padded};
use crate::copy::append;

impl Writer<'_> {
    /// Appends a string with its quotes.
    #[inline(always)]
    pub(super) fn string(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.out.push(b'"');
        if bytes.len() < 16 {
            let block = padded(bytes);
            let end = first_end::<Any>(&block);
            let start = self.out.len();
            self.out.extend_from_slice(&block);
            self.out.truncate(start + end);
            if end < bytes.len() {
                write_escaped(bytes.get(end..).unwrap_or_default(), self.out);
            }
        } else {
            write_long(bytes, self.out);
        }
        self.out.push(b'"');
    }
}

/// Appends at least 16 bytes.
#[inline(never)]
fn write_long(bytes: &[u8], out: &mut Vec<u8>) {
    // With the closing quote.
    out.reserve(bytes.len() + 1);
    let mut rest = bytes;
    while let Some((block, behind)) = rest.split_first_chunk::<WINDOW>() {
        out.extend_from_slice(block);
        if ends_within::<Any>(block) {
            out.truncate(out.len() - WINDOW);
            return write_escaped(rest, out);
        }
        rest = behind;
    }
    while let Some((block, behind)) = rest.split_first_chunk::<16>() {
        out.extend_from_slice(block);
        if first_end::<Any>(block) < 16 {
            out.truncate(out.len() - 16);
            return write_escaped(rest, out);
        }
        rest = behind;
    }
    if let Some(last) = bytes.last_chunk::<16>().filter(|_| !rest.is_empty()) {
        // The last 16 bytes overlap what was appended before, which needed no escape.
        let known = 16 - rest.len();
        out.truncate(out.len() - known);
        out.extend_from_slice(last);
        let end = first_end::<Any>(last);
        if end < 16 {
            out.truncate(out.len() - 16 + end);
            write_escaped(rest.get(end - known..).unwrap_or_default(), out);
        }
    }
}

/// Appends bytes of which some need an escape, with a mask of those in each 64 bytes.
#[inline(never)]
fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    let mut window = bytes;
    while !window.is_empty() {
        let length = window.len().min(WINDOW);
        let mut ends = ends_of::<Any>(window);
        let mut done = 0;
        while ends != 0 {
            let end = ends.trailing_zeros() as usize;
            if end > done {
                append(out, window.get(done..).unwrap_or_default(), end - done);
            }
            write_escape(window.get(end).copied().unwrap_or_default(), out);
            done = end + 1;
            ends &= ends - 1;
        }
        append(out, window.get(done..).unwrap_or_default(), length - done);
        window = window.get(length..).unwrap_or_default();
    }
}

#[inline(always)]
fn write_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let digit = match byte & 0xf {
                low @ ..10 => b'0' + low,
                low => b'a' + low - 10,
            };
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
