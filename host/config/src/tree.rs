//! Settings as a tree of values, each with a mark of where it stands. A front end makes one out of its format; whatever reads settings
//! knows only this.

use std::collections::BTreeMap;

/// A value and its mark.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Line of its key, or of the value itself if it is an item of a list, from 1; `None` where the source has no lines.
    pub(crate) line: Option<usize>,
    /// The value as it is written, in one short line that is safe to print.
    pub(crate) shown: String,
}

/// A value in the tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    /// A number too large for this type becomes its maximum, which no setting allows.
    Integer(i128),
    Float(f64),
    Boolean(bool),
    /// A date or a time, as it is written.
    Moment(String),
    List(Vec<Node>),
    Table(Entries),
    /// Nested deeper than a tree may be.
    TooDeep,
}

/// The entries of a table by key.
pub(crate) type Entries = BTreeMap<String, Node>;

impl Value {
    pub(crate) fn as_table(&self) -> Option<&Entries> {
        match self {
            Self::Table(entries) => Some(entries),
            _ => None,
        }
    }
}

/// Path of a key in a table, the key quoted where TOML wants quotes.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
