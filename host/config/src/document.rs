//! One source of settings on its way into the options of the crates.

use crate::report::{Place, Report};
use crate::table::Table;
use crate::toml_text;
use crate::tree::{Entries, Node};

/// A tree of settings, whatever front end made it.
#[derive(Debug)]
pub struct Document<'t> {
    file: String,
    root: Entries,
    report: &'t Report,
}

impl<'t> Document<'t> {
    /// Parses a text in TOML. Syntax errors go into the report; the lines without one can be read.
    ///
    /// `file` is the name to show in mistakes.
    pub fn toml(file: &str, text: &str, report: &'t Report) -> Document<'t> {
        Document { file: file.to_owned(), root: toml_text::parse(file, text, report), report }
    }

    /// The table of the whole document.
    pub fn root(&self) -> Table<'_> {
        Table::root(self, &self.root)
    }

    pub(crate) fn report(&self) -> &'t Report {
        self.report
    }

    pub(crate) fn place(&self, line: Option<usize>, key: String, found: Option<&Node>) -> Place {
        Place { file: self.file.clone(), line, key, found: found.map(|node| node.shown.clone()) }
    }
}
