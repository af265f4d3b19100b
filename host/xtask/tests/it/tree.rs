//! The files of the repository, without what is built or fetched.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders with nothing that we wrote.
const NOT_OURS: [&str; 6] = [".git", ".duet", "target", "node_modules", "dist", "corpus"];

/// A file, by its path from the top of the repository, with `/` between names.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    full: PathBuf,
}

impl File {
    /// The name without folders.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it lies in a folder of tests or benchmarks or is a module of tests.
    pub(crate) fn is_test(&self) -> bool {
        ["/tests/", "/benches/"].iter().any(|folder| self.path.contains(folder)) || self.name() == "tests.rs"
    }

    /// Its text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        let bytes = fs::read(&self.full).unwrap_or_else(|error| panic!("{}: {error}", self.path));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The top of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// All files.
pub(crate) fn files() -> Vec<File> {
    let mut found = Vec::new();
    walk(root(), "", &mut found);
    assert!(found.len() > 100, "only {} files found: the tidy tests look in the wrong place", found.len());
    found
}

/// Those of the folders with Rust in them.
pub(crate) fn rust_sources() -> impl Iterator<Item = File> {
    files().into_iter().filter(|f| f.is_rust() && ["host/", "sdk/", "plugins/", "examples/"].iter().any(|top| f.path.starts_with(top)))
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<File>) {
    let mut entries: Vec<_> = folder.read_dir().unwrap().map(|e| e.unwrap()).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        // A link leads to what is found elsewhere.
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            walk(&entry.path(), &format!("{path}/"), found);
        } else if kind.is_file() {
            found.push(File { path, full: entry.path() });
        }
    }
}
