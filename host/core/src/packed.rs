//! The packed layout between host and plugins (`wit/packed.md`): requests are written, effects are read.

mod effects;
mod field;
mod kinds;
mod requests;

pub use self::effects::{EffectError, EffectIter, EffectRecord, put_effect, put_rest};
pub use self::kinds::{EffectKind, RequestKind};
pub use self::requests::{Request, RequestIter, Requests};

/// Version of the layout that this host speaks.
pub const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
