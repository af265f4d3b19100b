//! The packed layout between host and plugins (`wit/packed.md`): requests are written, effects are read.

mod effects;
mod kinds;
mod requests;

pub use self::effects::{EffectError, EffectIter, EffectRecord, put_effect, put_rest};
pub use self::kinds::{EffectKind, RequestKind};
pub use self::requests::{Request, RequestIter, Requests};

/// Version of the layout that this host speaks.
pub const VERSION: u32 = 1;

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}

#[cfg(test)]
mod tests;
