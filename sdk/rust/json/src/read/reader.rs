//! How far a text has been read.

use crate::doubt::{Doubt, Result};

/// What is left of a text after giving up: nothing can be read from it, and it is not its end.
pub(super) const NOTHING: &[u8] = b"\0";

/// How deeply nested a value `serde_json` reads.
const DEPTH_MAX: u8 = 127;

/// A text, part of which has been read.
#[derive(Debug)]
pub(crate) struct Reader<'de> {
    pub(super) rest: &'de [u8],
    depth: u8,
    /// The last string that had escapes, with the escapes replaced.
    pub(super) unescaped: Vec<u8>,
}

impl<'de> Reader<'de> {
    #[inline]
    pub(crate) fn new(text: &'de [u8]) -> Self {
        Self { rest: text, depth: 0, unescaped: Vec::new() }
    }

    /// Whether nothing but whitespace is left.
    #[inline]
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.rest.is_empty() || (self.peek() == 0 && self.rest.is_empty())
    }

    /// Gives up, for good.
    #[cold]
    pub(super) fn give_up<T>(&mut self) -> Result<T> {
        self.rest = NOTHING;
        Err(Doubt)
    }

    /// The next byte that is not whitespace; it is not taken. 0 if there is none, or none that is allowed there.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> u8 {
        while let [byte, behind @ ..] = self.rest {
            match byte {
                b' ' | b'\n' | b'\t' | b'\r' => self.rest = behind,
                0x21.. => return *byte,
                _ => return 0,
            }
        }
        0
    }

    /// Takes the byte that was peeked at.
    #[inline(always)]
    pub(super) fn take(&mut self) {
        if let [_, behind @ ..] = self.rest {
            self.rest = behind;
        }
    }

    /// Takes this byte, or gives up.
    #[inline(always)]
    pub(super) fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != byte {
            return self.give_up();
        }
        self.take();
        Ok(())
    }

    #[inline(always)]
    pub(super) fn word(&mut self, word: &[u8]) -> Result<()> {
        match self.rest.strip_prefix(word) {
            Some(behind) => {
                self.rest = behind;
                Ok(())
            }
            None => self.give_up(),
        }
    }

    /// What is between two brackets, of which the first was peeked at.
    #[inline(always)]
    pub(super) fn nested<T>(&mut self, close: u8, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.take();
        if self.depth == DEPTH_MAX {
            return self.give_up();
        }
        self.depth += 1;
        match read(self) {
            Ok(value) => {
                self.depth -= 1;
                self.expect(close)?;
                Ok(value)
            }
            Err(_) => self.give_up(),
        }
    }
}
