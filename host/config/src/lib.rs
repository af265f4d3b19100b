//! Settings, layer 0 of the host: a tree of values that know where they were written, with TOML as one front end, and what every crate
//! needs to read its own options from it.
//!
//! A crate declares its options with [`settings!`], which states the values, the default and the meaning of each key; both reading and the
//! documentation come from that. Reading goes on after a mistake with the default, so that one run finds every mistake, each with file,
//! line, key, what was found and what is allowed. A key that nobody asked for is a mistake when its table is [finished](Table::finish):
//!
//! ```
//! use duet_config::{Document, Report, integer};
//!
//! let report = Report::new();
//! let document = Document::toml("duet.toml", "route_bytes = 3\nseq_byte = 2", &report);
//! let mut root = document.root();
//! let route_bytes: u8 = root.get("route_bytes", &integer().one_of(&[1, 2, 4])).or(2);
//! let seq_bytes: u8 = root.get("seq_bytes", &integer().one_of(&[0, 1, 2, 4])).or(2);
//! root.finish();
//! assert_eq!((route_bytes, seq_bytes), (2, 2));
//!
//! let mistakes = report.into_result().unwrap_err();
//! assert_eq!(
//!     mistakes.to_string(),
//!     "duet.toml:1: route_bytes = 3: allowed: 1, 2, 4\n\
//!      duet.toml:2: seq_byte: unknown key, did you mean `seq_bytes`? allowed: route_bytes, seq_bytes"
//! );
//! ```
//!
//! Elements of lists count from 0 in a key: `listener[1]` is the second `[[listener]]`.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod document;
mod field;
mod integer;
mod json;
mod kind;
mod recover;
mod report;
mod settings;
mod source;
mod suggest;
mod table;
mod toml_text;
mod tree;
mod unit;

pub use document::Document;
pub use field::Field;
pub use integer::Integer;
pub use json::JsonTable;
pub use kind::{Kind, boolean, choice, duration, integer, list, size, socket_addr, string, word_or};
pub use report::{Mistake, Mistakes, Place, Report};
pub use settings::{Setting, Settings};
pub use source::{FILE_BYTES_MAX, read, read_inside};
pub use suggest::nearest;
pub use table::Table;
