//! What an author or an operator meant for the server, and what it would otherwise ignore without a word.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Whether the file is to be loaded. A name with a dot in front is that of a file which is still being written, for many programs.
pub(super) fn is_plugin(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wasm") && !is_hidden(path)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// A folder as it can be found from anywhere.
pub(super) fn absolute(folder: &Path) -> String {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()).display().to_string()
}

/// One sentence for each miss. `entries` is everything in the folder, `named` what the settings have a table for.
pub(super) fn find<'a>(folder: &Path, entries: &[PathBuf], named: impl Iterator<Item = &'a String>) -> Vec<String> {
    let plugins: BTreeSet<&OsStr> = entries.iter().filter(|path| is_plugin(path)).filter_map(|path| path.file_stem()).collect();
    let mut misses = Vec::new();
    if plugins.is_empty() && folder.is_dir() {
        misses.push(format!("{}: there is no plugin in this folder; a plugin is a file NAME.wasm", absolute(folder)));
    }
    for path in entries {
        let Some((stem, extension)) = path.file_stem().zip(path.extension()) else { continue };
        let (shown, name) = (path.display(), stem.to_string_lossy());
        if extension == "wasm" && is_hidden(path) {
            misses.push(format!("{shown}: not loaded, because its name begins with a dot"));
        } else if extension.eq_ignore_ascii_case("wasm") && extension != "wasm" {
            misses.push(format!("{shown}: not loaded, because its name does not end with .wasm in lower case; rename it to {name}.wasm"));
        } else if extension.eq_ignore_ascii_case("toml") && extension != "toml" {
            misses.push(format!("{shown}: not read, because its name does not end with .toml in lower case; rename it to {name}.toml"));
        } else if extension == "toml" && !plugins.contains(stem) {
            misses.push(format!("{shown}: settings without a plugin: there is no {name}.wasm beside it"));
        }
    }
    for name in named.filter(|name| !plugins.contains(OsStr::new(name.as_str()))) {
        misses.push(format!("[plugin.{name}]: settings without a plugin: there is no {name}.wasm in {}", absolute(folder)));
    }
    misses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misses(entries: &[&str], named: &[&str]) -> Vec<String> {
        let folder = std::env::current_dir().unwrap();
        let entries: Vec<PathBuf> = entries.iter().map(|name| Path::new("plugins").join(name)).collect();
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        find(&folder, &entries, named.iter())
    }

    #[test]
    fn what_is_in_order_is_not_spoken_of() {
        let entries = ["echo.wasm", "echo.toml", "greet.wasm", "README.md", ".hidden", "..data", "old.wasm.bak", "x.cwasm"];
        assert_eq!(misses(&entries, &["echo", "greet"]), Vec::<String>::new());
    }

    #[test]
    fn each_miss_is_said_once() {
        let said = misses(&["ECHO.WASM", "a.wasm", "b.toml", "a.TOML", "c.Wasm", ".e.wasm"], &["a", "d"]);
        for (number, parts) in [
            ["plugins/ECHO.WASM: not loaded", "rename it to ECHO.wasm"],
            ["plugins/b.toml: settings without a plugin", "no b.wasm"],
            ["plugins/a.TOML: not read", "rename it to a.toml"],
            ["plugins/c.Wasm: not loaded", "rename it to c.wasm"],
            ["plugins/.e.wasm: not loaded", "begins with a dot"],
            ["[plugin.d]: settings without a plugin", "no d.wasm in /"],
        ]
        .iter()
        .enumerate()
        {
            assert!(parts.iter().all(|part| said[number].contains(part)), "{parts:?}: {said:?}");
        }
        assert_eq!(said.len(), 6, "{said:?}");
        let empty = misses(&["notes.txt"], &[]);
        assert!(empty.len() == 1 && empty[0].starts_with('/') && empty[0].contains("no plugin in this folder"), "{empty:?}");
    }
}
