//! Reads TOML settings and reports every mistake at once, each with file, line, key, what was found and what is allowed.
//!
//! A caller pulls the keys it knows out of a [`Table`]; what nobody asked for is a mistake when the table is
//! [finished](Table::finish). Reading goes on after a mistake with the default value, so one run finds them all:
//!
//! ```
//! use duet_config::{Document, Report};
//!
//! let report = Report::new();
//! let document = Document::parse("duet.toml", "route_bytes = 3\nseq_byte = 2", &report);
//! let mut root = document.root();
//! let route_bytes: u8 = root.integer("route_bytes").one_of(&[1, 2, 4]).or(2);
//! let seq_bytes: u8 = root.integer("seq_bytes").one_of(&[0, 1, 2, 4]).or(2);
//! root.finish();
//! assert_eq!((route_bytes, seq_bytes), (2, 2));
//!
//! let mistakes = report.into_result().unwrap_err();
//! assert_eq!(
//!     mistakes.to_string(),
//!     "duet.toml:1: route_bytes = 3: allowed are 1, 2, 4\n\
//!      duet.toml:2: seq_byte: unknown key, did you mean `seq_bytes`? allowed are route_bytes, seq_bytes"
//! );
//! ```
//!
//! Elements of lists count from 0 in a key: `listener[1]` is the second `[[listener]]`.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod document;
mod field;
mod integer;
mod json;
mod recover;
mod report;
mod source;
mod suggest;
mod table;
mod unit;

pub use document::Document;
pub use field::Field;
pub use integer::Integer;
pub use json::JsonTable;
pub use report::{Mistake, Mistakes, Place, Report};
pub use source::{FILE_BYTES_MAX, read};
pub use suggest::nearest;
pub use table::{Raw, Table};
