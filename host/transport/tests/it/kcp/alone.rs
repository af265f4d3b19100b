//! Tests that measure their process: each runs again alone in a process of its own.

use std::env;
use std::process::Command;

/// Set in a process that runs one test.
const ALONE: &str = "DUET_TEST_ALONE";

/// Runs a test of this name in a process of its own, and prints what it printed.
pub(super) fn alone(test: &str, body: impl Future<Output = ()>) {
    if env::var(ALONE).is_ok_and(|name| name == test) {
        return tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(body);
    }
    let mut command = Command::new(env::current_exe().unwrap());
    let output = command.args([test, "--exact", "--include-ignored", "--nocapture"]).env(ALONE, test).output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    print!("{text}");
}

/// Memory of this process that is in use, in bytes.
pub(super) fn memory() -> i64 {
    let pages = field("/proc/self/statm", 1);
    pages * 4096
}

/// Processor time of this process, in clock ticks of 10 ms.
pub(super) fn ticks() -> i64 {
    field("/proc/self/stat", 13) + field("/proc/self/stat", 14)
}

fn field(path: &str, at: usize) -> i64 {
    std::fs::read_to_string(path).unwrap().split_whitespace().nth(at).unwrap().parse().unwrap()
}
