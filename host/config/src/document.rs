//! One source of settings on its way into the options of the crates.

use crate::report::{InFile, Report};
use crate::table::Table;
use crate::toml_text;
use crate::tree::Entries;

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
        Table::root(InFile::new(&self.file, self.report), &self.root)
    }
}
