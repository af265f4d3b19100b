//! A table whose keys are asked for one by one.

use std::net::SocketAddr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::Document;
use crate::field::{Field, State};
use crate::integer::Integer;
use crate::json::JsonTable;
use crate::report::Place;
use crate::suggest::nearest;
use crate::unit::{DURATIONS, SIZES, parse_duration, parse_size, show_duration, show_size};

/// A table of a [`Document`]. A table that is not in the file behaves like an empty one.
#[derive(Debug)]
#[must_use = "call `finish` to report unknown keys"]
pub struct Table<'d> {
    document: &'d Document<'d>,
    /// Path of the table; empty for the root.
    path: String,
    /// Line of the header; `None` for the root and for a table that is not there.
    line: Option<usize>,
    entries: Option<&'d DeTable<'d>>,
    /// False if what should be this table is something else, which is already reported.
    sound: bool,
    asked: Vec<&'static str>,
}

/// A single value as it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Raw<'v> {
    /// A string.
    Text(&'v str),
    /// An integer.
    Integer(i128),
    /// `true` or `false`.
    Boolean(bool),
    /// Anything else: a float, a date, an array, a table.
    Other,
}

impl<'d> Table<'d> {
    pub(crate) fn root(document: &'d Document<'d>, entries: &'d DeTable<'d>) -> Table<'d> {
        Table { document, path: String::new(), line: None, entries: Some(entries), sound: true, asked: Vec::new() }
    }

    /// A value of any kind; `read` gives `None` for one that is not allowed, `allowed` completes "allowed are ...".
    pub fn value<T>(&mut self, key: &'static str, allowed: impl Into<String>, read: impl FnOnce(Raw<'_>) -> Option<T>) -> Field<'d, T> {
        self.shown_value(key, allowed.into(), |_| String::new(), read)
    }

    /// A string.
    pub fn string(&mut self, key: &'static str) -> Field<'d, String> {
        self.shown_value(
            key,
            "strings".into(),
            |text| format!("{text:?}"),
            |raw| match raw {
                Raw::Text(text) => Some(text.to_owned()),
                _ => None,
            },
        )
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Field<'d, bool> {
        self.shown_value(key, "true, false".into(), bool::to_string, |raw| match raw {
            Raw::Boolean(value) => Some(value),
            _ => None,
        })
    }

    /// An integer that fits the type asked for.
    pub fn integer<T: Integer>(&mut self, key: &'static str) -> Field<'d, T> {
        self.shown_value(key, format!("integers from {} to {}", T::MIN, T::MAX), T::to_string, |raw| match raw {
            Raw::Integer(value) => T::try_from(value).ok(),
            _ => None,
        })
    }

    /// A number of bytes that fits the type asked for: an integer, or a string such as `"64KiB"`.
    pub fn size<T: Integer>(&mut self, key: &'static str) -> Field<'d, T> {
        let show = |bytes: &T| u64::try_from(bytes.widen()).map_or(bytes.to_string(), show_size);
        self.shown_value(key, SIZES.into(), show, |raw| match raw {
            Raw::Integer(bytes) if bytes >= 0 => T::try_from(bytes).ok(),
            Raw::Text(text) => parse_size(text).and_then(|bytes| T::try_from(i128::from(bytes)).ok()),
            _ => None,
        })
    }

    /// A duration: a string such as `"250ms"`, `"5s"`, `"2m"`, `"1h"`.
    pub fn duration(&mut self, key: &'static str) -> Field<'d, Duration> {
        self.shown_value(
            key,
            DURATIONS.into(),
            |duration| show_duration(*duration),
            |raw| match raw {
                Raw::Text(text) => parse_duration(text),
                _ => None,
            },
        )
    }

    /// An address with a port. Names are not looked up.
    pub fn socket_addr(&mut self, key: &'static str) -> Field<'d, SocketAddr> {
        let allowed = "addresses with a port such as \"127.0.0.1:3553\", \"[::1]:3553\"";
        self.shown_value(key, allowed.into(), SocketAddr::to_string, |raw| match raw {
            Raw::Text(text) => text.parse().ok(),
            _ => None,
        })
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Field<'d, T> {
        let allowed = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        self.value(key, allowed, |raw| match raw {
            Raw::Text(text) => words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value),
            _ => None,
        })
    }

    /// A list of strings, each made a value by `read`, which gives `None` for one that is not allowed. The mistake points at that one.
    pub fn list<T>(&mut self, key: &'static str, allowed: impl Into<String>, read: impl Fn(&str) -> Option<T>) -> Field<'d, Vec<T>> {
        let mut place = self.place(key);
        let state = match self.ask(key).map(Spanned::get_ref) {
            None if self.sound => State::Absent,
            None => State::Unknown,
            Some(DeValue::Array(items)) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let Some(value) = item.get_ref().as_str().and_then(&read) else {
                        let line = self.document.line(item.span().start);
                        place = self.document.place(Some(line), format!("{}[{index}]", self.key_path(key)), Some(item));
                        break;
                    };
                    list.push(value);
                }
                if list.len() == items.len() { State::Found(list) } else { State::Wrong }
            }
            Some(_) => State::Wrong,
        };
        Field::new(self.document.report(), place, state, allowed.into(), |_| String::new())
    }

    /// A table that is handed on as JSON, whatever its keys are.
    pub fn json_table(&mut self, key: &'static str) -> Field<'d, JsonTable> {
        let state = match self.ask(key) {
            None if self.sound => State::Absent,
            None => State::Unknown,
            Some(value) => match value.get_ref() {
                DeValue::Table(entries) => State::Found(JsonTable::convert(self.document, &self.key_path(key), entries)),
                _ => State::Wrong,
            },
        };
        Field::new(self.document.report(), self.place(key), state, "tables".into(), JsonTable::to_string)
    }

    /// A table in this one: `[key]`.
    pub fn table(&mut self, key: &'static str) -> Table<'d> {
        match self.ask(key) {
            Some(value) => self.open(self.key_path(key), self.key_line(key), value, &format!("a table, [{}]", self.key_path(key))),
            None => Table { sound: self.sound, ..self.absent(key) },
        }
    }

    /// A list of tables: `[[key]]`. `None` if there is none.
    pub fn tables(&mut self, key: &'static str) -> Option<Vec<Table<'d>>> {
        let value = self.ask(key)?;
        let path = self.key_path(key);
        let DeValue::Array(items) = value.get_ref() else {
            self.mistake(key, format!("allowed are tables, each with [[{path}]]"));
            return None;
        };
        let open = |(index, item): (usize, &'d Spanned<DeValue<'d>>)| {
            let line = self.document.line(item.span().start);
            self.open(format!("{path}[{index}]"), Some(line), item, &format!("a table, [[{path}]]"))
        };
        Some(items.iter().enumerate().map(open).collect())
    }

    /// The tables in a table, by name: `[key.NAME]`. Sorted by name.
    pub fn named_tables(&mut self, key: &'static str) -> Vec<(String, Table<'d>)> {
        let outer = self.table(key);
        let named = |(name, value): (&'d Spanned<_>, &'d Spanned<DeValue<'d>>)| {
            let name: &str = std::borrow::Borrow::borrow(name);
            let table = outer.open(outer.key_path(name), outer.key_line(name), value, &format!("a table, [{}.NAME]", outer.path));
            (name.to_owned(), table)
        };
        outer.entries.iter().flat_map(|entries| entries.iter()).map(named).collect()
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The place of a key, or where it is missing.
    pub fn place(&self, key: &str) -> Place {
        self.document.place(self.key_line(key).or(self.line), self.key_path(key), self.entry(key).map(|(_, value)| value))
    }

    /// The place of the table itself.
    pub fn own_place(&self) -> Place {
        self.document.place(self.line, self.path.clone(), None)
    }

    /// Reports a mistake at a key.
    pub fn mistake(&self, key: &str, problem: impl Into<String>) {
        self.document.report().mistake(self.place(key), problem);
    }

    /// Reports every key that nobody asked for, with the name that was probably meant.
    pub fn finish(self) {
        for (key, _) in self.entries.iter().flat_map(|entries| entries.iter()) {
            let key: &str = std::borrow::Borrow::borrow(key);
            if self.asked.contains(&key) {
                continue;
            }
            let meant = nearest(key, &self.asked).map(|near| format!(", did you mean `{near}`?")).unwrap_or(";".into());
            let place = Place { found: None, ..self.place(key) };
            self.document.report().mistake(place, format!("unknown key{meant} allowed are {}", self.known()));
        }
    }

    fn shown_value<T>(
        &mut self,
        key: &'static str,
        allowed: String,
        show: fn(&T) -> String,
        read: impl FnOnce(Raw<'_>) -> Option<T>,
    ) -> Field<'d, T> {
        let state = match self.ask(key) {
            None if self.sound => State::Absent,
            None => State::Unknown,
            Some(value) => read(raw(value.get_ref())).map_or(State::Wrong, State::Found),
        };
        Field::new(self.document.report(), self.place(key), state, allowed, show)
    }

    /// Looks a key up and notes that it is known.
    fn ask(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.entry(key).map(|(_, value)| value)
    }

    fn entry(&self, key: &str) -> Option<(&'d Spanned<toml::de::DeString<'d>>, &'d Spanned<DeValue<'d>>)> {
        self.entries?.get_key_value(key)
    }

    fn open(&self, path: String, line: Option<usize>, value: &'d Spanned<DeValue<'d>>, allowed: &str) -> Table<'d> {
        let entries = value.get_ref().as_table();
        if entries.is_none() {
            let place = self.document.place(line, path.clone(), Some(value));
            self.document.report().mistake(place, format!("allowed is {allowed}"));
        }
        Table { document: self.document, path, line, entries, sound: entries.is_some(), asked: Vec::new() }
    }

    /// The keys that were asked for, for messages.
    fn known(&self) -> String {
        if self.asked.is_empty() { "none".into() } else { self.asked.join(", ") }
    }

    fn absent(&self, key: &str) -> Table<'d> {
        Table { document: self.document, path: self.key_path(key), line: self.line, entries: None, sound: true, asked: Vec::new() }
    }

    fn key_line(&self, key: &str) -> Option<usize> {
        self.entry(key).map(|(key, _)| self.document.line(key.span().start))
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

fn raw<'v>(value: &'v DeValue<'_>) -> Raw<'v> {
    match value {
        DeValue::String(text) => Raw::Text(text),
        DeValue::Integer(digits) => i128::from_str_radix(digits.as_str(), digits.radix()).map_or(Raw::Other, Raw::Integer),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        _ => Raw::Other,
    }
}

#[cfg(test)]
mod tests;
