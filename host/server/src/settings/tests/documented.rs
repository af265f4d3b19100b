//! The example file and the tables of the manual are what the crates declare, and nothing is declared twice.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::super::example::{example, manual, sections};

/// Set by `cargo xtask settings`: writes the files instead of comparing them.
const WRITE: &str = "DUET_WRITE_SETTINGS";
/// Where the tables of the manual begin, which go on to its end.
const MARK: &str = "<!-- Made by `cargo xtask settings`. -->\n";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compares a file with what it has to say.
fn holds(name: &str, text: &str) {
    let path = path(name);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    let other = found.lines().zip(text.lines()).position(|(found, made)| found != made);
    let line = other.unwrap_or_else(|| found.lines().count().min(text.lines().count()));
    let (said, made) = (found.lines().nth(line), text.lines().nth(line));
    assert!(found == text, "{name}:{}: {said:?} instead of {made:?}; `cargo xtask settings` writes it", line + 1);
}

#[test]
fn the_example_says_what_the_crates_declare() {
    holds("duet.example.toml", &example());
}

#[test]
fn the_tables_of_the_manual_say_what_the_crates_declare() {
    let name = "../docs/configuration.md";
    let found = fs::read_to_string(path(name)).unwrap();
    let (written, _) = found.split_once(MARK).expect("the mark where the tables begin");
    holds(name, &format!("{written}{MARK}{}", manual()));
}

#[test]
fn no_setting_is_stated_twice() {
    let mut seen = BTreeSet::new();
    let sections = sections();
    for section in &sections {
        for setting in section.keys.iter().filter(|written| written.is_first()).map(|written| &written.setting) {
            assert!(seen.insert((section.header, setting.key)), "{} of {} is declared twice", setting.key, section.header);
            assert!(!setting.meaning.is_empty() && !setting.allowed.is_empty(), "{} of {}", setting.key, section.header);
        }
    }
    assert!(seen.len() > 100, "{}", seen.len());
}

/// The sources that say a default or a range of their own beside the declaration would be here.
#[test]
fn each_key_is_declared_in_one_place_of_the_sources() {
    let sources = sources(&path(".."));
    let sections = sections();
    let keys: BTreeSet<&str> = sections
        .iter()
        .flat_map(|section| &section.keys)
        .filter(|written| written.setting.default.is_some())
        .map(|w| w.setting.key)
        .collect();
    for key in keys {
        let declared: Vec<&str> = sources.iter().flat_map(|text| text.lines()).filter(|line| declares(line, key)).collect();
        let places = sections.iter().filter(|s| s.keys.iter().any(|w| w.is_first() && w.setting.key == key)).count();
        assert!(declared.len() <= places, "{key}: {declared:#?}");
    }
}

/// Whether a line says a key's type, default and values.
fn declares(line: &str, key: &str) -> bool {
    let line = line.trim_start();
    let rest = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or_default();
    let is_named = rest.starts_with(&format!("{key}: ")) || rest.contains(&format!("[\"{key}\"]: "));
    // What comes behind `..` has no values, and no comma.
    is_named && rest.split_once(" = ").is_some_and(|(_, rest)| rest.contains(", "))
}

/// The texts of all sources of the host's crates that are no tests.
fn sources(folder: &std::path::Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["tests", "target", "examples", "peers", "fixtures", "node_modules"].contains(&name.as_str()) {
            texts.extend(sources(&path));
        } else if name.ends_with(".rs") {
            texts.push(fs::read_to_string(&path).unwrap());
        }
    }
    texts
}
