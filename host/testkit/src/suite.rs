//! Tests that come in two sizes: small with every change, full before a release.

use std::fs::File;
use std::io::Write;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Whether the full size was asked for, with `DUET_SUITE=full` as `cargo xtask suite` does.
pub fn is_full() -> bool {
    std::env::var("DUET_SUITE").is_ok_and(|size| size == "full")
}

/// The number for this size.
pub fn sized(small: usize, full: usize) -> usize {
    if is_full() { full } else { small }
}

/// Prints what a test has tried, as `name: numbers`, and appends it to the file that `DUET_REPORT` names. Takes what `format!` takes.
#[macro_export]
macro_rules! report {
    ($($line:tt)*) => { $crate::suite::write_report(&format!($($line)*)) };
}

/// What [`report!`](crate::report!) does with its line.
///
/// # Panics
/// If the file cannot be written.
pub fn write_report(line: &str) {
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("DUET_REPORT") {
        let mut file = File::options().create(true).append(true).open(path).expect("the file that DUET_REPORT names");
        // One write, so that lines of two tests are never mixed.
        file.write_all(format!("{line}\n").as_bytes()).expect("the file that DUET_REPORT names");
    }
}

/// Enough open files for every test.
const FILES: u64 = 100_000;

/// Lets this process, and the servers it starts, have as many sockets as it can get. Returns how many.
pub fn raise_file_limit() -> usize {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let wanted = |maximum| Rlimit { current: maximum, maximum };
    // Only root may have more than the maximum.
    if maximum.is_some_and(|maximum| maximum < FILES) && setrlimit(Resource::Nofile, wanted(Some(FILES))).is_err() {
        let _ = setrlimit(Resource::Nofile, wanted(maximum));
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}
