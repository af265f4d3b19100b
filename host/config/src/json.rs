//! A table of settings whose keys are not the host's business, as JSON.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Number, Value as Json};

use crate::report::InFile;
use crate::tree::{Entries, Node, Value, join};

/// How deep such a table may be nested; readers of JSON commonly stop at 128.
const DEPTH_MAX: usize = 64;

/// A JSON object; `Display` gives its text. Empty by default.
///
/// Dates and times become strings. `Debug` does not say what is in it: operators keep passwords and keys of their plugins there.
#[derive(Clone, Default, PartialEq)]
pub struct JsonTable {
    entries: Map<String, Json>,
}

impl JsonTable {
    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// This table with the keys of `over` put over it; tables that both have are merged key by key.
    pub fn merged(mut self, over: JsonTable) -> JsonTable {
        merge(&mut self.entries, over.entries);
        self
    }

    /// Converts a table; what JSON cannot say is reported and left out.
    pub(crate) fn convert(file: InFile<'_>, path: &str, entries: &Entries) -> JsonTable {
        JsonTable { entries: object(file, path, entries, 1) }
    }
}

impl fmt::Debug for JsonTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonTable({} keys)", self.entries.len())
    }
}

impl FromStr for JsonTable {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(|entries| JsonTable { entries })
    }
}

impl fmt::Display for JsonTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `{:#}` of a map is not JSON, so the text is made by serde_json, compact.
        f.write_str(&serde_json::to_string(&self.entries).map_err(|_| fmt::Error)?)
    }
}

fn merge(under: &mut Map<String, Json>, over: Map<String, Json>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Json::Object(below)), Json::Object(above)) => merge(below, above),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

fn object(file: InFile<'_>, path: &str, entries: &Entries, depth: usize) -> Map<String, Json> {
    let mut object = Map::new();
    for (key, node) in entries {
        let path = join(path, key);
        match convert(file, &path, &node.value, depth) {
            Ok(converted) => {
                object.insert(key.clone(), converted);
            }
            Err(problem) => file.report().mistake(file.place(node.line, path, Some(node)), problem),
        }
    }
    object
}

fn convert(file: InFile<'_>, path: &str, value: &Value, depth: usize) -> Result<Json, String> {
    if depth > DEPTH_MAX {
        return Err(format!("nested too deep: at most {DEPTH_MAX} levels are allowed"));
    }
    Ok(match value {
        Value::Text(text) | Value::Moment(text) => Json::String(text.clone()),
        Value::Boolean(value) => Json::Bool(*value),
        Value::Integer(value) => Json::Number(integer(*value)?),
        Value::Float(value) => Json::Number(Number::from_f64(*value).ok_or("allowed: finite numbers, JSON has no others")?),
        Value::Table(entries) => Json::Object(object(file, path, entries, depth + 1)),
        Value::List(items) => {
            let item = |(index, item): (usize, &Node)| convert(file, &format!("{path}[{index}]"), &item.value, depth + 1);
            Json::Array(items.iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        Value::TooDeep => return Err(format!("nested too deep: at most {DEPTH_MAX} levels are allowed")),
    })
}

fn integer(value: i128) -> Result<Number, String> {
    let number = i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from));
    number.map_err(|_| format!("allowed: integers from {} to {}", i64::MIN, u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Report};

    fn read(text: &str) -> Result<JsonTable, String> {
        let report = Report::new();
        let document = Document::toml("duet.toml", text, &report);
        let mut root = document.root();
        let table = root.json_table("config").or(JsonTable::default());
        root.finish();
        report.into_result().map(|()| table).map_err(|m| m.to_string())
    }

    #[test]
    fn a_table_becomes_json_text() {
        let text = "[config]\nname = \"x\\n\"\nn = 0x10\nbig = 18446744073709551615\nf = 1.5\non = true\nday = 2026-01-02\nlist = [1, \"a\", {b = 2}]\n[config.shop]\nprices = [1, 2]\n";
        let json = r#"{"big":18446744073709551615,"day":"2026-01-02","f":1.5,"list":[1,"a",{"b":2}],"n":16,"name":"x\n","on":true,"shop":{"prices":[1,2]}}"#;
        assert_eq!(read(text).unwrap().to_string(), json);
        assert_eq!(read("").unwrap().to_string(), "{}");
    }

    #[test]
    fn what_json_cannot_say_is_a_mistake_with_its_key() {
        let shown = read("[config]\na = nan\n[config.b]\nc = -inf\nd = 99999999999999999999\n").unwrap_err();
        assert_eq!(
            shown,
            "duet.toml:2: config.a = nan: allowed: finite numbers, JSON has no others\n\
             duet.toml:4: config.b.c = -inf: allowed: finite numbers, JSON has no others\n\
             duet.toml:5: config.b.d = 99999999999999999999: allowed: integers from -9223372036854775808 to 18446744073709551615"
        );
        assert_eq!(read("config = 3").unwrap_err(), "duet.toml:1: config = 3: allowed: tables");
    }

    #[test]
    fn what_is_in_it_is_not_shown_by_accident() {
        let table = read("[config]\npassword = \"hunter2\"\n").unwrap();
        assert_eq!(format!("{table:?}"), "JsonTable(1 keys)");
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = |levels: usize| format!("config = {}1{}", "{ a = ".repeat(levels), " }".repeat(levels));
        assert!(read(&deep(64)).is_ok());
        assert!(read(&deep(65)).unwrap_err().contains("nested too deep: at most 64 levels are allowed"));
    }

    #[test]
    fn merging_goes_into_tables_and_replaces_the_rest() {
        let under = read("[config]\na = 1\nkeep = true\nlist = [1, 2]\n[config.shop]\nx = 1\ny = 2\n").unwrap();
        let over = read("[config]\na = 2\nlist = [3]\n[config.shop]\ny = 3\n").unwrap();
        assert_eq!(under.merged(over).to_string(), r#"{"a":2,"keep":true,"list":[3],"shop":{"x":1,"y":3}}"#);
    }
}
