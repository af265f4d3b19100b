//! Strings.

use serde::de::Visitor;

use super::reader::{NOTHING, Reader};
use crate::ascii;
use crate::block::{self, Any, WINDOW, ends_of};
use crate::copy::append;
use crate::doubt::{Doubt, Result};

/// The text of a string.
#[derive(Debug)]
enum Text<'de, 's> {
    /// As it is in the body.
    Borrowed(&'de str),
    /// With its escapes replaced.
    Copied(&'s str),
}

impl<'de> Reader<'de> {
    /// A string after its opening quote.
    #[inline(always)]
    fn string(&mut self) -> Result<Text<'de, '_>> {
        match ascii::split(self.rest) {
            (text, [b'"', behind @ ..]) => {
                self.rest = behind;
                Ok(Text::Borrowed(text))
            }
            (text, _) => self.rare_string(text.len()),
        }
    }

    /// The same, for a visitor.
    #[inline(always)]
    pub(super) fn visit_string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.string()? {
            Text::Borrowed(text) => visitor.visit_borrowed_str(text),
            Text::Copied(text) => visitor.visit_str(text),
        }
    }

    /// A string that begins with this many bytes of ASCII, then has other characters, or escapes.
    #[inline(never)]
    fn rare_string(&mut self, ascii: usize) -> Result<Text<'de, '_>> {
        let (_, behind) = self.rest.split_at_checked(ascii).unwrap_or_default();
        let (run, behind) = block::split::<Any>(behind);
        match behind {
            [b'"', behind @ ..] => {
                let Ok(text) = simdutf8::basic::from_utf8(self.rest.get(..ascii + run.len()).unwrap_or_default()) else {
                    return self.give_up();
                };
                self.rest = behind;
                Ok(Text::Borrowed(text))
            }
            _ => self.escaped_string(),
        }
    }

    /// A string with escapes. UTF-8 is checked once, after the escapes are replaced: each stands for whole characters, so the result is
    /// valid only if every piece between them is.
    #[inline(never)]
    fn escaped_string(&mut self) -> Result<Text<'de, '_>> {
        self.unescaped.clear();
        match unescape(self.rest, &mut self.unescaped) {
            Some(behind) => self.rest = behind,
            None => return self.give_up(),
        }
        match simdutf8::basic::from_utf8(&self.unescaped) {
            Ok(text) => Ok(Text::Copied(text)),
            Err(_) => {
                self.rest = NOTHING;
                Err(Doubt)
            }
        }
    }
}

/// Appends what is before the closing quote to `out`, and returns what follows it.
fn unescape<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut window = text;
    loop {
        let mut ends = ends_of::<Any>(window);
        // How many bytes of the window are done.
        let mut done = 0;
        while ends != 0 {
            let end = ends.trailing_zeros() as usize;
            if end > done {
                append(out, window.get(done..)?, end - done);
            }
            match window.get(end..)? {
                [b'"', behind @ ..] => return Some(behind),
                [b'\\', escape @ ..] => done = end + 1 + unescape_one(escape, out)?,
                _ => return None,
            }
            ends &= u64::MAX.checked_shl(done as u32).unwrap_or(0);
        }
        // There is no quote in the window, so something has to follow it.
        let behind = window.get(done.max(WINDOW)..)?;
        append(out, window.get(done..)?, WINDOW.saturating_sub(done));
        window = behind;
    }
}

/// Appends the character of an escape, and returns how many bytes it had after the backslash.
#[inline(always)]
fn unescape_one(escape: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let (first, behind) = escape.split_first()?;
    let byte = match first {
        b'"' | b'\\' | b'/' => *first,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'f' => 0x0c,
        b'u' => {
            let (character, bytes) = character(behind)?;
            let mut utf8 = [0; 4];
            let length = character.encode_utf8(&mut utf8).len();
            out.extend_from_slice(&utf8);
            out.truncate(out.len() - 4 + length);
            return Some(1 + bytes);
        }
        _ => return None,
    };
    out.push(byte);
    Some(1)
}

/// The character of four hexadecimal digits, or of a pair of them, and how many bytes it had.
#[inline(always)]
fn character(text: &[u8]) -> Option<(char, usize)> {
    match hexadecimal(text)? {
        high @ 0xd800..0xdc00 => {
            let low = hexadecimal(text.get(4..)?.strip_prefix(b"\\u")?)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)?, 10))
        }
        code => Some((char::from_u32(code)?, 4)),
    }
}

#[inline(always)]
fn hexadecimal(text: &[u8]) -> Option<u32> {
    let digit = |byte: u8| DIGITS.get(usize::from(byte)).copied().unwrap_or(NO_DIGIT);
    let [a, b, c, d] = *text.first_chunk()?;
    let (a, b, c, d) = (digit(a), digit(b), digit(c), digit(d));
    let number = u32::from(a) << 12 | u32::from(b) << 8 | u32::from(c) << 4 | u32::from(d);
    ((a | b | c | d) < 16).then_some(number)
}

const NO_DIGIT: u8 = 0xff;

/// The value of each hexadecimal digit.
#[allow(clippy::indexing_slicing, reason = "runs when it is compiled")]
static DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut byte = 0;
    while byte < 256 {
        digits[byte] = match byte as u8 {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            digit @ b'A'..=b'F' => digit - b'A' + 10,
            _ => NO_DIGIT,
        };
        byte += 1;
    }
    digits
};
