//! What a process costs: its memory and its processor time, as Linux reports them.

use std::fs;
use std::io;
use std::time::Duration;

/// Why the figures of a process cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not there, or this is not Linux.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not say what was expected.
    #[error("{path} has no such figure")]
    Content {
        /// The file.
        path: String,
    },
}

/// A process by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// Bytes in memory.
    pub(super) fn resident_bytes(self) -> Result<u64, ProcessError> {
        self.figure("status", |text| {
            let kib: u64 = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()?;
            kib.checked_mul(1_024)
        })
    }

    /// Processor time since its start, of all its threads.
    pub(super) fn cpu_time(self) -> Result<Duration, ProcessError> {
        self.figure("stat", cpu_time)
    }

    fn figure<T>(self, file: &str, find: impl FnOnce(&str) -> Option<T>) -> Result<T, ProcessError> {
        let path = format!("/proc/{}/{file}", self.0);
        match fs::read_to_string(&path) {
            Ok(text) => find(&text).ok_or(ProcessError::Content { path }),
            Err(source) => Err(ProcessError::Read { path, source }),
        }
    }
}

/// Fields 14 and 15, in clock ticks. The second field is a name in brackets that may hold anything.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_secs_f64((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let ticks = rustix::param::clock_ticks_per_second();
        let stat = format!("7 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 {} {ticks} 0 0 20 0 4 0 1", 2 * ticks);
        assert_eq!(cpu_time(&stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu_time("7 (x) S 1"), None);
    }

    #[test]
    fn this_process_has_memory_and_no_process_has_none() {
        assert!(Process(std::process::id()).resident_bytes().unwrap() > 100_000);
        assert!(matches!(Process(u32::MAX).cpu_time(), Err(ProcessError::Read { .. })));
    }
}
