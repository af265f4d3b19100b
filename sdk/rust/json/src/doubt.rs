//! Giving up.

use std::fmt;

use serde::{de, ser};

/// Types whose names begin with this are `serde_json`'s own; it reads and writes them in its own ways.
pub(crate) const OWN_NAMES: &str = "$serde_json::private::";

/// The quick way does not know. It does not say why: `serde_json` reads or writes the value again and says it in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Doubt;

pub(crate) type Result<T> = std::result::Result<T, Doubt>;

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("left to serde_json")
    }
}

impl std::error::Error for Doubt {}

// All are overridden: their own forms would write a text first.
impl de::Error for Doubt {
    #[cold]
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }

    #[cold]
    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }

    #[cold]
    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }

    #[cold]
    fn invalid_length(_: usize, _: &dyn de::Expected) -> Self {
        Self
    }

    #[cold]
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    #[cold]
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    #[cold]
    fn missing_field(_: &'static str) -> Self {
        Self
    }

    #[cold]
    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

impl ser::Error for Doubt {
    #[cold]
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}
