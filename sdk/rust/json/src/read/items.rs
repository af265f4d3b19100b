//! What is in a list or an object.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::key::Key;
use super::reader::Reader;
use crate::doubt::{Doubt, Result};

/// The items up to the closing bracket.
#[derive(Debug)]
pub(super) struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    first: bool,
}

impl<'a, 'de> Items<'a, 'de> {
    #[inline(always)]
    pub(super) fn of(reader: &'a mut Reader<'de>) -> Self {
        Self { reader, first: true }
    }

    /// Goes to the next item, and says what it begins with; to the closing bracket if there is none.
    #[inline(always)]
    fn next(&mut self, close: u8) -> Result<Option<u8>> {
        let mut byte = self.reader.peek();
        if byte == close {
            return Ok(None);
        }
        if self.first {
            self.first = false;
        } else {
            self.reader.expect(b',')?;
            byte = self.reader.peek();
        }
        Ok(Some(byte))
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Doubt;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        match self.next(b']')? {
            None => Ok(None),
            Some(b']') => self.reader.give_up(),
            Some(_) => seed.deserialize(&mut *self.reader).map(Some),
        }
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Doubt;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        match self.next(b'}')? {
            None => Ok(None),
            Some(b'"') => {
                self.reader.take();
                seed.deserialize(Key(self.reader)).map(Some)
            }
            Some(_) => self.reader.give_up(),
        }
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}
