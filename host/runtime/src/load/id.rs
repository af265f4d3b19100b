//! Names of versions.

use std::fmt;

use crate::load::cache::Source;

/// Digits of a hash that are shown.
const HASH_DIGITS: usize = 12;

/// Which version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionId {
    /// What the plugin says.
    pub version: String,
    /// The hash of its file in hex; `None` for code that is linked in.
    pub hash: Option<String>,
}

impl VersionId {
    pub(crate) fn new(version: &str, source: Option<Source>) -> Self {
        Self { version: version.to_owned(), hash: source.map(|source| source.to_string()) }
    }

    /// The first digits of the hash, which tell versions apart.
    pub fn short_hash(&self) -> Option<&str> {
        self.hash.as_deref().map(|hash| hash.get(..HASH_DIGITS).unwrap_or(hash))
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)?;
        self.short_hash().map_or(Ok(()), |hash| write!(f, " ({hash})"))
    }
}
