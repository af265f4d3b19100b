//! What has been written, and whether it is sure.

use crate::copy::append;
use crate::doubt::{Doubt, Result};

/// Appends to a list of bytes. What `serde_json` writes in its own way is left to it.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    sure: bool,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, sure: true }
    }

    /// True if it never gave up. Asked at the end, because a type may have swallowed the error.
    #[inline]
    pub(crate) fn is_sure(&self) -> bool {
        self.sure
    }

    #[cold]
    pub(super) fn give_up<T>(&mut self) -> Result<T> {
        self.sure = false;
        Err(Doubt)
    }

    /// Appends short text that needs no escapes.
    #[inline(always)]
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        append(self.out, text.as_bytes(), text.len());
        Ok(())
    }

    #[inline(always)]
    pub(super) fn integer(&mut self, number: impl itoa::Integer) -> Result<()> {
        self.text(itoa::Buffer::new().format(number))
    }
}
