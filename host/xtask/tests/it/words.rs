//! What must not stand in the sources.

use crate::tree;

/// Marks of work that is left; it is done, or it is an entry in the tracker. In two halves, or this file would find itself.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// What people write; the rest are bytes for machines.
const WRITTEN: [&str; 15] = ["rs", "ts", "js", "mjs", "py", "go", "c", "h", "sh", "wit", "toml", "json", "md", "yml", "proto"];

#[test]
fn no_work_is_left_marked_in_the_sources() {
    let mut found = Vec::new();
    for file in tree::files() {
        if file.name().rsplit_once('.').is_none_or(|(_, end)| !WRITTEN.contains(&end)) {
            continue;
        }
        for (number, line) in file.text().lines().enumerate() {
            if line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| MARKS.contains(&word)) {
                found.push(format!("{}:{}", file.path, number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:?}");
}
