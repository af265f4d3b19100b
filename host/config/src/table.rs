//! A table whose keys are asked for one by one.

use crate::document::Document;
use crate::field::{Field, State};
use crate::json::JsonTable;
use crate::kind::{Kind, Wrong};
use crate::report::Place;
use crate::suggest::nearest;
use crate::tree::{Entries, Node, Value};

/// A table of a [`Document`]. A table that is not in the file behaves like an empty one.
#[derive(Debug)]
#[must_use = "call `finish` to report unknown keys"]
pub struct Table<'d> {
    document: &'d Document<'d>,
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
    pub(crate) fn root(document: &'d Document<'d>, entries: &'d Entries) -> Table<'d> {
        Table { document, path: String::new(), line: None, entries: Some(entries), sound: true, asked: Vec::new() }
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
                    place = self.document.place(line, format!("{}[{index}]", self.key_path(key)), item);
                    State::Wrong
                }
                (Err(_), _) => State::Wrong,
            },
        };
        Field::new(self.document.report(), place, state, kind.allowed().to_owned())
    }

    /// A table that is handed on as JSON, whatever its keys are.
    pub fn json_table(&mut self, key: &'static str) -> Field<'d, JsonTable> {
        let state = match self.ask(key).map(|node| &node.value) {
            None if self.sound => State::Absent,
            None => State::Unknown,
            Some(Value::Table(entries)) => State::Found(JsonTable::convert(self.document, &self.key_path(key), entries)),
            Some(_) => State::Wrong,
        };
        Field::new(self.document.report(), self.place(key), state, "tables".into())
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
        self.document.place(node.and_then(|node| node.line).or(self.line), self.key_path(key), node)
    }

    /// The place of the table itself.
    pub fn own_place(&self) -> Place {
        self.document.place(self.line, self.path.clone(), None)
    }

    /// Whether a mistake has already been reported for a key; its value is then a default, not what is there.
    pub fn is_wrong(&self, key: &str) -> bool {
        self.document.report().has(&self.place(key))
    }

    /// Reports a mistake at a key.
    pub fn mistake(&self, key: &str, problem: impl Into<String>) {
        self.document.report().mistake(self.place(key), problem);
    }

    /// Reports every key that nobody asked for, with the name that was probably meant.
    pub fn finish(self) {
        for key in self.entries.iter().flat_map(|entries| entries.keys()) {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let meant = nearest(key, &self.asked).map(|near| format!(", did you mean `{near}`?")).unwrap_or(";".into());
            let place = Place { found: None, ..self.place(key) };
            self.document.report().mistake(place, format!("unknown key{meant} allowed: {}", self.known()));
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
            let place = self.document.place(node.line, path.clone(), Some(node));
            self.document.report().mistake(place, format!("allowed: {allowed}"));
        }
        Table { document: self.document, path, line: node.line, entries, sound: entries.is_some(), asked: Vec::new() }
    }

    /// The keys that were asked for, for messages.
    fn known(&self) -> String {
        if self.asked.is_empty() { "none".into() } else { self.asked.join(", ") }
    }

    fn absent(&self, key: &str) -> Table<'d> {
        Table { document: self.document, path: self.key_path(key), line: self.line, entries: None, sound: true, asked: Vec::new() }
    }

    fn key_path(&self, key: &str) -> String {
        join(&self.path, key)
    }
}

/// Path of a key in a table, the key quoted where TOML wants quotes.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests;
