//! A table whose keys are asked for one by one.

use crate::field::{Field, State};
use crate::json::JsonTable;
use crate::kind::{Kind, Wrong};
use crate::report::{InFile, Place};
use crate::suggest::nearest;
use crate::tree::{Entries, Node, Value, join};

/// A table of a [`Document`](crate::Document). A table that is not in the file behaves like an empty one.
#[derive(Debug)]
#[must_use = "call `finish` to report unknown keys"]
pub struct Table<'d> {
    file: InFile<'d>,
    /// Path of the table; empty for the root.
    path: String,
    /// Line of the header; `None` for the root and for a table that is not there.
    line: Option<usize>,
    entries: Option<&'d Entries>,
    /// False if something other than a table is in its place, which is already reported.
    sound: bool,
    asked: Vec<&'static str>,
}

impl<'d> Table<'d> {
    pub(crate) fn root(file: InFile<'d>, entries: &'d Entries) -> Table<'d> {
        Table { file, path: String::new(), line: None, entries: Some(entries), sound: true, asked: Vec::new() }
    }

    /// The value of a key. A mistake in a list points at the first wrong item.
    pub fn get<T: 'static>(&mut self, key: &'static str, kind: &Kind<T>) -> Field<'d, T> {
        let mut place = self.place(key);
        let state = match self.ask(key) {
            None if self.sound => State::Absent,
            None => State::Unknown,
            Some(node) => match (kind.read(&node.value), &node.value) {
                (Ok(value), _) => State::Found(value),
                (Err(Wrong::Item(index)), Value::List(items)) => {
                    let item = items.get(index);
                    let line = item.and_then(|item| item.line);
                    place = self.file.place(line, format!("{}[{index}]", self.key_path(key)), item);
                    State::Wrong
                }
                (Err(_), _) => State::Wrong,
            },
        };
        Field::new(self.file.report(), place, state, kind.allowed().to_owned())
    }

    /// A table that is handed on as JSON, whatever its keys are.
    pub fn json_table(&mut self, key: &'static str) -> Field<'d, JsonTable> {
        let state = match self.ask(key).map(|node| &node.value) {
            None if self.sound => State::Absent,
            None => State::Unknown,
            Some(Value::Table(entries)) => State::Found(JsonTable::convert(self.file, &self.key_path(key), entries)),
            Some(_) => State::Wrong,
        };
        Field::new(self.file.report(), self.place(key), state, "tables".into())
    }

    /// A table in this one: `[key]`.
    pub fn table(&mut self, key: &'static str) -> Table<'d> {
        match self.ask(key) {
            Some(node) => self.open(self.key_path(key), node, &format!("a table, [{}]", self.key_path(key))),
            None => Table { sound: self.sound, ..self.absent(key) },
        }
    }

    /// A list of tables: `[[key]]`. `None` if there is none.
    pub fn tables(&mut self, key: &'static str) -> Option<Vec<Table<'d>>> {
        let node = self.ask(key)?;
        let path = self.key_path(key);
        let Value::List(items) = &node.value else {
            self.mistake(key, format!("allowed: tables, each with [[{path}]]"));
            return None;
        };
        let open = |(index, item): (usize, &'d Node)| self.open(format!("{path}[{index}]"), item, &format!("a table, [[{path}]]"));
        Some(items.iter().enumerate().map(open).collect())
    }

    /// The tables in a table, by name: `[key.NAME]`. Sorted by name.
    pub fn named_tables(&mut self, key: &'static str) -> Vec<(String, Table<'d>)> {
        let outer = self.table(key);
        let named = |(name, node): (&'d String, &'d Node)| {
            (name.clone(), outer.open(outer.key_path(name), node, &format!("a table, [{}.NAME]", outer.path)))
        };
        outer.entries.iter().flat_map(|entries| entries.iter()).map(named).collect()
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The place of a key, or where it is missing.
    pub fn place(&self, key: &str) -> Place {
        let node = self.entry(key);
        self.file.place(node.and_then(|node| node.line).or(self.line), self.key_path(key), node)
    }

    /// The place of the table itself.
    pub fn own_place(&self) -> Place {
        self.file.place(self.line, self.path.clone(), None)
    }

    /// Whether a mistake has already been reported for a key; its value is then a default, not what is there.
    pub fn is_wrong(&self, key: &str) -> bool {
        self.file.report().has(&self.place(key))
    }

    /// Reports a mistake at a key.
    pub fn mistake(&self, key: &str, problem: impl Into<String>) {
        self.file.report().mistake(self.place(key), problem);
    }

    /// Reports every key that nobody asked for, with the name that was probably meant.
    pub fn finish(self) {
        for key in self.entries.iter().flat_map(|entries| entries.keys()) {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let meant = nearest(key, &self.asked).map(|near| format!(", did you mean `{near}`?")).unwrap_or(";".into());
            let place = Place { found: None, ..self.place(key) };
            self.file.report().mistake(place, format!("unknown key{meant} allowed: {}", self.known()));
        }
    }

    /// Looks up a key, and notes that it is known.
    fn ask(&mut self, key: &'static str) -> Option<&'d Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.entry(key)
    }

    fn entry(&self, key: &str) -> Option<&'d Node> {
        self.entries?.get(key)
    }

    fn open(&self, path: String, node: &'d Node, allowed: &str) -> Table<'d> {
        let entries = node.value.as_table();
        if entries.is_none() {
            let place = self.file.place(node.line, path.clone(), Some(node));
            self.file.report().mistake(place, format!("allowed: {allowed}"));
        }
        Table { file: self.file, path, line: node.line, entries, sound: entries.is_some(), asked: Vec::new() }
    }

    /// The keys that were asked for, for messages.
    fn known(&self) -> String {
        if self.asked.is_empty() { "none".into() } else { self.asked.join(", ") }
    }

    fn absent(&self, key: &str) -> Table<'d> {
        Table { file: self.file, path: self.key_path(key), line: self.line, entries: None, sound: true, asked: Vec::new() }
    }

    fn key_path(&self, key: &str) -> String {
        join(&self.path, key)
    }
}

#[cfg(test)]
mod tests;
