//! Mistakes in settings: where they are, what was found, what is allowed.

use std::cell::{Cell, RefCell};
use std::fmt;

use crate::tree::Node;

/// How many mistakes one report keeps; a file that is not TOML at all would otherwise fill the screen.
const KEPT_MAX: usize = 100;

/// One mistake in a settings file.
///
/// Shown as one line: `duet.toml:12: listener[1].protocol = "udp": allowed: tcp, ws`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is.
    pub place: Place,
    /// Column of a syntax error, from 1, in characters.
    pub column: Option<usize>,
    /// What is wrong and what is allowed, in one line.
    pub problem: String,
}

/// A place in a settings file: what a mistake points at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the file, as given to [`Document`](crate::Document).
    pub file: String,
    /// Line, from 1; `None` if the mistake is about the file as a whole.
    pub line: Option<usize>,
    /// Path of the key (`listener[1].protocol`); empty if the mistake is about no key.
    pub key: String,
    /// The value as written in the file, shortened; `None` if the key is not there.
    pub found: Option<String>,
}

/// All mistakes that were found; there is at least one.
///
/// `Display` gives one line for each, in the order of the lines of a file, without a newline at the end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    list: Vec<Mistake>,
    left_out: usize,
}

/// Collects mistakes while settings are read.
///
/// All methods take `&self`, so that several tables can be open at once. Not for use from several threads.
#[derive(Debug, Default)]
pub struct Report {
    list: RefCell<Vec<Mistake>>,
    left_out: Cell<usize>,
    torn: Cell<bool>,
}

/// A report, and the file that mistakes are about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFile<'t> {
    name: &'t str,
    report: &'t Report,
}

impl<'t> InFile<'t> {
    pub(crate) const fn new(name: &'t str, report: &'t Report) -> Self {
        Self { name, report }
    }

    pub(crate) const fn report(self) -> &'t Report {
        self.report
    }

    pub(crate) fn place(self, line: Option<usize>, key: String, found: Option<&Node>) -> Place {
        Place { file: self.name.to_owned(), line, key, found: found.map(|node| node.shown.clone()) }
    }
}

impl Place {
    /// The place as another mistake refers to it.
    pub fn in_line(&self) -> String {
        self.line.map_or_else(|| self.key.clone(), |line| format!("{} in line {line}", self.key))
    }
}

impl Mistakes {
    /// The mistakes in the order they are shown.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.list.iter()
    }

    /// How many mistakes were found, including those that were not kept (a report keeps the first 100).
    pub fn count(&self) -> usize {
        self.list.len().saturating_add(self.left_out)
    }
}

impl Report {
    /// A report without mistakes.
    pub fn new() -> Report {
        Report::default()
    }

    /// Adds a mistake at a place; `problem` says what is wrong and what is allowed, in one line.
    pub fn mistake(&self, place: Place, problem: impl Into<String>) {
        self.add(Mistake { place, column: None, problem: problem.into() });
    }

    /// Whether a mistake has already been reported for this key or an item of its list; its value is then a default, not what the file
    /// says.
    pub fn has(&self, place: &Place) -> bool {
        let item = |rest: &str| rest.is_empty() || rest.starts_with('[');
        let same = |m: &Mistake| m.place.file == place.file && m.place.key.strip_prefix(&place.key).is_some_and(item);
        self.list.borrow().iter().any(same)
    }

    /// Whether a syntax error may have hidden a part of a file.
    ///
    /// Then a key that seems missing may well be there, so missing keys are not reported, and checks between keys
    /// should be left out.
    pub fn is_torn(&self) -> bool {
        self.torn.get()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All mistakes, if there are any.
    pub fn into_result(self) -> Result<(), Mistakes> {
        let mut list = self.list.into_inner();
        if list.is_empty() {
            return Ok(());
        }
        let mut files: Vec<String> = Vec::new();
        for mistake in &list {
            if !files.contains(&mistake.place.file) {
                files.push(mistake.place.file.clone());
            }
        }
        list.sort_by_key(|m| (files.iter().position(|f| *f == m.place.file), m.place.line, m.column));
        Err(Mistakes { list, left_out: self.left_out.get() })
    }

    /// Notes that a part of a file may be hidden by a syntax error.
    pub(crate) fn tear(&self) {
        self.torn.set(true);
    }

    pub(crate) fn add(&self, mistake: Mistake) {
        let mut list = self.list.borrow_mut();
        if list.len() < KEPT_MAX {
            list.push(mistake);
        } else {
            self.left_out.set(self.left_out.get().saturating_add(1));
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place.file)?;
        if let Some(line) = self.place.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        if !self.place.key.is_empty() {
            write!(f, ": {}", self.place.key)?;
        }
        if let Some(found) = &self.place.found {
            write!(f, " = {found}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more", self.left_out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str, line: Option<usize>, key: &str) -> Place {
        Place { file: file.into(), line, key: key.into(), found: None }
    }

    #[test]
    fn a_report_without_mistakes_is_fine() {
        assert_eq!(Report::new().into_result(), Ok(()));
    }

    #[test]
    fn a_report_knows_which_keys_have_a_mistake() {
        let report = Report::new();
        report.mistake(at("a.toml", Some(1), "key"), "x");
        report.mistake(at("a.toml", Some(1), "list[2]"), "x");
        assert!(report.has(&at("a.toml", None, "key")));
        assert!(report.has(&at("a.toml", None, "list")));
        assert!(!report.has(&at("a.toml", None, "lis")));
        assert!(!report.has(&at("a.toml", Some(1), "other")));
        assert!(!report.has(&at("b.toml", Some(1), "key")));
    }

    #[test]
    fn mistakes_are_shown_by_file_and_line() {
        let report = Report::new();
        report.mistake(at("b.toml", Some(7), "late"), "x");
        report.mistake(at("a.toml", Some(1), "other"), "x");
        report.mistake(at("b.toml", Some(2), "early"), "x");
        report.mistake(at("b.toml", None, ""), "cannot be read");
        let shown = report.into_result().unwrap_err().to_string();
        assert_eq!(shown, "b.toml: cannot be read\nb.toml:2: early: x\nb.toml:7: late: x\na.toml:1: other: x");
    }

    #[test]
    fn a_report_keeps_a_hundred_mistakes_and_counts_the_rest() {
        let report = Report::new();
        for line in 0..130 {
            report.mistake(at("a.toml", Some(line), "k"), "x");
        }
        let mistakes = report.into_result().unwrap_err();
        assert_eq!(mistakes.count(), 130);
        assert_eq!(mistakes.iter().count(), 100);
        assert!(mistakes.to_string().ends_with("\nand 30 more"));
    }
}
