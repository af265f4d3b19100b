//! The front end for TOML: a text becomes a tree, and its syntax errors become mistakes.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue, Error};

use crate::recover::{is_breaking, without_broken_lines};
use crate::report::{Mistake, Place, Report};
use crate::tree::{Entries, Node, Value};

/// How many characters of a value are shown in a mistake.
const SHOWN_MAX: usize = 60;
/// How deep tables and lists may be nested: deeper than any setting, and than what is handed on as JSON.
const DEPTH_MAX: usize = 100;

/// A text on its way into a tree.
struct Text<'t> {
    file: &'t str,
    text: &'t str,
    /// Byte offset of the start of each line but the first.
    line_starts: Vec<usize>,
}

/// Makes a tree out of a text. Syntax errors go into the report; the lines without one are in the tree.
pub(crate) fn parse(file: &str, text: &str, report: &Report) -> Entries {
    let line_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    let source = Text { file, text, line_starts: line_ends.map(|(at, _)| at + 1).collect() };
    let (root, mut errors) = DeTable::parse_recoverable(text);
    let entries = if errors.iter().any(is_breaking) {
        // What the parser makes of a text after such an error can be far from what was meant.
        report.tear();
        let readable = without_broken_lines(text, &errors);
        let (root, readable_errors) = DeTable::parse_recoverable(&readable);
        errors.retain(is_breaking);
        errors.extend(readable_errors.into_iter().filter(|error| !is_breaking(error)));
        source.entries(root.get_ref(), 1)
    } else {
        source.entries(root.get_ref(), 1)
    };
    for error in errors {
        report.add(source.syntax(&error));
    }
    entries
}

impl Text<'_> {
    /// Line of a byte offset, from 1.
    fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at) + 1
    }

    fn entries(&self, table: &DeTable<'_>, depth: usize) -> Entries {
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &str = std::borrow::Borrow::borrow(key);
            (name.to_owned(), self.node(self.line(key.span().start), value, depth))
        };
        table.iter().map(entry).collect()
    }

    fn node(&self, line: usize, value: &Spanned<DeValue<'_>>, depth: usize) -> Node {
        Node { value: self.value(value.get_ref(), depth), line: Some(line), shown: self.shown(value) }
    }

    fn value(&self, value: &DeValue<'_>, depth: usize) -> Value {
        match value {
            DeValue::Table(_) | DeValue::Array(_) if depth > DEPTH_MAX => Value::TooDeep,
            DeValue::Table(table) => Value::Table(self.entries(table, depth + 1)),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(self.line(item.span().start), item, depth + 1)).collect())
            }
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Integer(digits) => Value::Integer(integer(digits)),
            DeValue::Float(digits) => Value::Float(digits.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Datetime(moment) => Value::Moment(moment.to_string()),
        }
    }

    /// A value as written in the file.
    fn shown(&self, value: &Spanned<DeValue<'_>>) -> String {
        match value.get_ref() {
            DeValue::Table(_) => "{...}".into(),
            DeValue::Array(_) => "[...]".into(),
            _ => printable(self.text.get(value.span()).unwrap_or_default()),
        }
    }

    fn syntax(&self, error: &Error) -> Mistake {
        let span = error.span().unwrap_or(self.text.len()..self.text.len());
        let line = self.line(span.start);
        let line_start = line.checked_sub(2).and_then(|index| self.line_starts.get(index)).copied().unwrap_or_default();
        let column = self.text.get(line_start..span.start).map_or(1, |before| before.chars().count() + 1);
        let problem = if is_breaking(error) {
            format!("syntax error: {}", error.message())
        } else {
            let key = printable(self.text.get(span).unwrap_or_default());
            format!("duplicate key `{key}`: allowed only once")
        };
        let place = Place { file: self.file.to_owned(), line: Some(line), ..Place::default() };
        Mistake { place, column: Some(column), problem }
    }
}

fn integer(digits: &DeInteger<'_>) -> i128 {
    i128::from_str_radix(digits.as_str(), digits.radix()).unwrap_or(i128::MAX)
}

/// The first line of a text without control characters, which could rewrite an operator's terminal.
fn printable(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let mut shown: String = first.chars().take(SHOWN_MAX).flat_map(visible).collect();
    if shown.len() < text.len() && (first.len() < text.len() || first.chars().count() > SHOWN_MAX) {
        shown.push_str("...");
    }
    shown
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::printable;
    use crate::{Document, Report, integer};

    fn syntax(text: &str) -> String {
        let report = Report::new();
        let _ = Document::toml("duet.toml", text, &report);
        report.into_result().map_or_else(|m| m.to_string(), |()| "fine".into())
    }

    #[test]
    fn a_syntax_error_has_line_and_column() {
        assert_eq!(syntax("a = 1\nb = \"x\n"), "duet.toml:2:7: syntax error: invalid basic string, expected `\"`");
        assert!(syntax("a = 1\n\u{e9} = 2").starts_with("duet.toml:2:1: syntax error: "));
        assert!(syntax("a = 1\nb = [1,").starts_with("duet.toml:2:"));
        assert!(syntax("x =").starts_with("duet.toml:1:"));
        assert_eq!(syntax(""), "fine");
    }

    #[test]
    fn a_key_given_twice_is_named() {
        assert_eq!(syntax("a = 1\na = 2\n"), "duet.toml:2:1: duplicate key `a`: allowed only once");
        assert_eq!(syntax("[a]\nb = 1\n[a]\n"), "duet.toml:3:2: duplicate key `a`: allowed only once");
    }

    #[test]
    fn the_rest_of_the_text_is_read_after_a_syntax_error() {
        let report = Report::new();
        let document = Document::toml("duet.toml", "a = oops\nb = 3\nc = \"x\"", &report);
        let mut root = document.root();
        assert_eq!(root.get("a", &integer::<u8>()).or(9), 9);
        assert_eq!(root.get("b", &integer::<u8>()).or(0), 3);
        assert_eq!(root.get("c", &integer::<u8>()).or(0), 0);
        assert_eq!(root.get("d", &integer::<u8>()).required(), None);
        root.finish();
        let shown = report.into_result().unwrap_err().to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 2, "{shown}");
        assert!(lines[0].starts_with("duet.toml:1:5: syntax error: "), "{shown}");
        assert!(lines[1].starts_with("duet.toml:3: c = \"x\": allowed: "), "{shown}");
    }

    #[test]
    fn keys_after_a_broken_header_are_neither_lost_nor_put_elsewhere() {
        let report = Report::new();
        let text = "[gateway\nx = 1\n[codec]\nn = 300\nnovalue\nm = 301\n[codec]\n";
        let document = Document::toml("duet.toml", text, &report);
        let mut root = document.root();
        root.table("gateway").finish();
        let mut codec = root.table("codec");
        let _ = codec.get("n", &integer::<u8>()).or(0);
        let _ = codec.get("m", &integer::<u8>()).or(0);
        codec.finish();
        root.finish();
        let shown = report.into_result().unwrap_err().to_string();
        let places: Vec<&str> = shown.lines().filter_map(|line| line.split(' ').next()).collect();
        let expected = ["duet.toml:1:9:", "duet.toml:4:", "duet.toml:5:8:", "duet.toml:6:", "duet.toml:7:2:"];
        assert_eq!(places, expected, "{shown}");
    }

    #[test]
    fn a_text_that_is_no_toml_does_no_harm() {
        for text in ["\u{0}\u{1}\u{2}", "[[[[[", "]]]]", "====", "\"\"\"", "a.b.c.d", "{}", "[a]\n[a.b]\n[a]\n[[a]]", "\r\r\n"] {
            let report = Report::new();
            let document = Document::toml("x.toml", text, &report);
            let mut root = document.root();
            let _ = root.get("a", &integer::<u8>()).or(1);
            root.finish();
            assert!(report.into_result().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_text_nested_as_deep_as_it_can_be_does_not_overflow_the_stack() {
        let dotted = vec!["a"; 79].join(".");
        let text = format!("[{dotted}]\n{}1", format!("{dotted} = {{ ").repeat(200));
        let report = Report::new();
        let document = Document::toml("x.toml", &text, &report);
        let mut root = document.root();
        let _ = root.json_table("a").optional();
        root.finish();
        assert!(report.into_result().is_err());
        let brackets = format!("a = {}", "[".repeat(500_000));
        assert!(syntax(&brackets).starts_with("duet.toml:1:"));
    }

    #[test]
    fn long_and_hidden_characters_are_not_shown_as_they_are() {
        assert_eq!(printable("short"), "short");
        assert_eq!(printable("a\nb"), "a...");
        assert_eq!(printable("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(printable(&"x".repeat(100)), format!("{}...", "x".repeat(60)));
    }
}
