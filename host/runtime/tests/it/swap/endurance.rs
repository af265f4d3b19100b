//! A hundred exchanges leave nothing behind. In a process of its own, because its memory, threads and files are counted.

use std::process::Command;

use super::counter::{Counter, count};
use super::options;
use crate::rig::Rig;

const ALONE: &str = "DUET_TEST_ALONE";
const NAME: &str = "swap::endurance::a_hundred_exchanges_leave_no_memory_threads_and_files";

/// What a process has.
#[derive(Debug)]
struct Having {
    threads: usize,
    files: usize,
    mappings: usize,
    resident_kib: usize,
}

impl Having {
    fn now() -> Self {
        let entries = |folder: &str| std::fs::read_dir(folder).unwrap().count();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            threads: entries("/proc/self/task"),
            files: entries("/proc/self/fd"),
            mappings: std::fs::read_to_string("/proc/self/maps").unwrap().lines().count(),
            resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
        }
    }
}

fn exchange(rig: &Rig, versions: &[Counter]) {
    for version in versions {
        version.swap(rig, "counter", options(), false).unwrap();
        assert_eq!(count(rig).1, version.number);
    }
}

#[test]
fn a_hundred_exchanges_leave_no_memory_threads_and_files() {
    if std::env::var_os(ALONE).is_none() {
        let alone = Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture", "--test-threads=1"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        assert!(alone.status.success(), "{}{}", String::from_utf8_lossy(&alone.stdout), String::from_utf8_lossy(&alone.stderr));
        return;
    }
    let rig = Rig::new();
    let versions: Vec<Counter> = (1..=4).map(Counter::new).collect();
    versions[0].serve(&rig, "counter", options());
    // All are in the cache then, and allocators have what they need.
    (0..5).for_each(|_| exchange(&rig, &versions));
    let before = Having::now();
    (0..25).for_each(|_| exchange(&rig, &versions));
    let after = Having::now();
    assert_eq!((before.threads, before.files), (after.threads, after.files));
    assert!(after.mappings <= before.mappings + 8, "{before:?} {after:?}");
    assert!(after.resident_kib <= before.resident_kib + 4096, "{before:?} {after:?}");
    assert_eq!(std::fs::read_dir(rig.folder().join("cache")).unwrap().count(), 4);
    assert_eq!(count(&rig).0, 5 * 4 + 25 * 4 + 1, "and nothing of the state");
}
