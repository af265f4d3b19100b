//! What files and folders are called.

use crate::tree;

/// What may stand at the top of the repository, besides names with a dot in front and what git ignores.
const TOP: [&str; 10] =
    ["Cargo.lock", "Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "examples", "host", "plugins", "sdk", "wit"];

/// Names that say nothing.
const EMPTY_WORDS: [&str; 8] = ["utils", "util", "common", "helpers", "helper", "misc", "miscellaneous", "stuff"];

#[test]
fn the_top_of_the_repository_holds_only_what_the_map_shows() {
    let ignored = |name: &str| name == "target" || name.ends_with(".log");
    let odd: Vec<String> = tree::root()
        .read_dir()
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && !ignored(name) && !TOP.contains(&name.as_str()))
        .collect();
    assert!(odd.is_empty(), "these belong into one of the folders: {odd:?}");
}

#[test]
fn no_module_is_called_mod_rs() {
    let found: Vec<String> = tree::rust_sources().filter(|f| f.name() == "mod.rs").map(|f| f.path).collect();
    assert!(found.is_empty(), "foo/mod.rs is foo.rs here: {found:?}");
}

#[test]
fn no_file_or_folder_has_a_name_that_says_nothing() {
    let empty = |part: &str| EMPTY_WORDS.contains(&part.split('.').next().unwrap_or_default());
    let found: Vec<String> = tree::files().into_iter().filter(|f| f.path.split('/').any(empty)).map(|f| f.path).collect();
    assert!(found.is_empty(), "say what is in there: {found:?}");
}
