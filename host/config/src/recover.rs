//! Makes a text with syntax errors readable: the broken lines are blanked out, every other byte keeps its place.

use std::collections::BTreeSet;

use toml::de::{DeTable, Error};

/// How often blanking a line may bring up an error in another one before the text is taken as it is.
const ROUNDS_MAX: usize = 20;

/// Whether an error makes the parser skip something. It does not when a key or a table is given twice.
pub(crate) fn is_breaking(error: &Error) -> bool {
    error.message() != "duplicate key"
}

/// The text without the lines that have these errors. Errors that only come up without those lines are not worth a
/// report: their lines are blanked as well.
pub(crate) fn without_broken_lines(text: &str, errors: &[Error]) -> String {
    let mut text = text.to_owned();
    let mut broken = broken_lines(&text, errors);
    for _ in 0..ROUNDS_MAX {
        let blanked = blank(&text, &broken);
        // An error at the end of the text may have no line that could be blanked.
        if blanked == text {
            break;
        }
        text = blanked;
        broken = broken_lines(&text, &DeTable::parse_recoverable(&text).1);
        if broken.is_empty() {
            break;
        }
    }
    text
}

/// Indexes of the lines with an error, from 0.
fn broken_lines(text: &str, errors: &[Error]) -> BTreeSet<usize> {
    let starts: Vec<usize> = text.split_inclusive('\n').scan(0, next_start).collect();
    let breaking = errors.iter().filter(|error| is_breaking(error));
    let at = breaking.map(|error| error.span().map_or(text.len(), |span| span.start));
    at.map(|at| starts.partition_point(|start| *start <= at).saturating_sub(1)).collect()
}

fn next_start(at: &mut usize, line: &str) -> Option<usize> {
    let start = *at;
    *at += line.len();
    Some(start)
}

/// Puts spaces in place of these lines. A table goes with its broken header: its keys would end up in another table.
fn blank(text: &str, broken: &BTreeSet<usize>) -> String {
    let mut blanked = String::with_capacity(text.len());
    let mut in_broken_table = false;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with('[') {
            in_broken_table = broken.contains(&index);
        }
        if in_broken_table || broken.contains(&index) {
            blanked.extend(line.bytes().map(|b| if b == b'\n' || b == b'\r' { char::from(b) } else { ' ' }));
        } else {
            blanked.push_str(line);
        }
    }
    blanked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovered(text: &str) -> String {
        let recovered = without_broken_lines(text, &DeTable::parse_recoverable(text).1);
        assert_eq!(recovered.len(), text.len());
        recovered.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn a_broken_line_goes_and_the_others_stay_where_they_are() {
        assert_eq!(recovered("a = 1\nb = oops\nc = 3\n"), "a = 1|c = 3");
        assert_eq!(recovered("a = 1\nb\n[t]\nc = 3\n"), "a = 1|[t]|c = 3");
        assert_eq!(recovered("a = \"\u{e9}\nb = 2\r\n"), "b = 2");
    }

    #[test]
    fn a_table_goes_with_its_broken_header() {
        assert_eq!(recovered("a = 1\n[t\nb = 2\n\n[u]\nc = 3\n"), "a = 1|[u]|c = 3");
        assert_eq!(recovered("[[l]\nb = 2\n[[l]]\nb = 3\n"), "[[l]]|b = 3");
    }
}
