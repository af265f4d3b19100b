//! How long files are.

use crate::tree;

/// The longest that a file of Rust may be without its tests.
const LINES_MAX: usize = 500;

#[test]
fn no_rust_file_is_longer_than_500_lines_without_its_tests() {
    let long: Vec<String> = tree::rust_sources()
        .filter(|f| !f.is_test())
        .map(|f| (lines_without_tests(&f.text()), f.path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines}"))
        .collect();
    assert!(long.is_empty(), "more than one noun in one file: {long:?}");
}

#[test]
fn a_module_of_tests_does_not_count() {
    let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
    assert_eq!(lines_without_tests(text), 3);
    assert_eq!(lines_without_tests("#[cfg(test)]\nmod tests;\nfn c() {}\n"), 1);
}

/// Counts lines; from `#[cfg(test)]` before a `mod` to the brace that closes it, none.
fn lines_without_tests(text: &str) -> usize {
    let mut lines = text.lines().peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let module =
            line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ") || next.starts_with("pub(crate) mod "));
        if !module {
            count += 1;
        } else if lines.next().is_some_and(|head| head.ends_with('{')) {
            lines.find(|inner| *inner == "}");
        }
    }
    count
}
