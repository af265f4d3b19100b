//! Json as `serde_json` reads and writes it, in less time.
//!
//! A guest cannot find out at run time what processor it is on: it has 128-bit vectors, and every round of a loop checks the budget of the
//! call. So this reads and writes what messages mostly are, with strings in blocks of 64 bytes, and leaves everything else to `serde_json`:
//! whatever is in doubt it reads or writes, from the start. The quick way only has to be right where it says yes. Values, bytes and texts
//! of errors are `serde_json`'s, which the tests and the fuzz targets compare.

mod ascii;
mod block;
mod copy;
mod doubt;
mod error;
mod read;
mod write;

use serde::{Deserialize, Serialize};

pub use error::Error;
use read::Reader;
use write::Writer;

/// Reads a value, which may borrow from the text.
///
/// # Errors
/// If the text is not UTF-8, is not json, or is not a `T`.
#[inline]
pub fn from_slice<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, Error> {
    let mut reader = Reader::new(text);
    match T::deserialize(&mut reader) {
        Ok(value) if reader.is_at_end() => Ok(value),
        _ => read_slowly(text),
    }
}

/// Appends a value to `out`.
///
/// # Errors
/// If it has no form in json, or says itself that it cannot be written. Then a part of it may be in `out`.
#[inline]
pub fn to_vec<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    let mut writer = Writer::new(out);
    match value.serialize(&mut writer) {
        Ok(()) if writer.is_sure() => Ok(()),
        _ => write_slowly(value, start, out),
    }
}

#[cold]
fn read_slowly<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, Error> {
    simdutf8::basic::from_utf8(text).map_err(|_| Error::not_utf8())?;
    // Not as a `str`: `serde_json` reads a key that should be a boolean from its second byte on, which may be in the middle of a character,
    // and then it panics. It checks what it takes out of bytes.
    serde_json::from_slice(text).map_err(|error| Error::located::<T>(text, &error))
}

#[cold]
fn write_slowly<T: Serialize + ?Sized>(value: &T, start: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    out.truncate(start);
    serde_json::to_writer(out, value).map_err(|error| Error::of_writing(&error))
}
