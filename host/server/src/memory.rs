//! How much memory this process may have, and at which marks the gate takes less.

use std::fs;
use std::path::Path;

use anyhow::ensure;
use duet_gateway::{MemoryMarks, MemoryOptions};

/// The marks from the settings; 0 stands for a share of what this process may have.
pub(crate) fn marks(options: &MemoryOptions) -> anyhow::Result<MemoryMarks> {
    let share = |asked: u64, percent: u64| match asked {
        0 => limit(|path| fs::read_to_string(path).ok()) / 100 * percent,
        asked => asked,
    };
    let marks = MemoryMarks { high: share(options.high, 80), critical: share(options.critical, 90) };
    let MemoryMarks { high, critical } = marks;
    ensure!(high < critical, "gateway.memory_high ({high} bytes here) has to be less than gateway.memory_critical ({critical} bytes here)");
    Ok(marks)
}

/// The smallest of what the cgroups of this process, those around them, and the machine allow.
fn limit(read: impl Fn(&Path) -> Option<String>) -> u64 {
    let meminfo = read(Path::new("/proc/meminfo")).unwrap_or_default();
    let machine = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let mut least = machine.map_or(u64::MAX, |kib| kib << 10);
    for line in read(Path::new("/proc/self/cgroup")).unwrap_or_default().lines() {
        // `0::/path` is version 2; `4:memory:/path` is version 1.
        let mut parts = line.splitn(3, ':').skip(1);
        let (root, file) = match parts.next() {
            Some("") => ("/sys/fs/cgroup", "memory.max"),
            Some("memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        for group in Path::new(parts.next().unwrap_or_default().trim_start_matches('/')).ancestors() {
            let text = read(&Path::new(root).join(group).join(file)).unwrap_or_default();
            // No limit is the word `max`, or a very large number.
            least = text.trim().parse().unwrap_or(u64::MAX).min(least);
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn limit_of(files: &[(&str, &str)]) -> u64 {
        limit(|path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn the_limit_of_the_cgroup_counts_or_of_one_around_it() {
        let group = ("/proc/self/cgroup", "0::/game/duet\n");
        let machine = ("/proc/meminfo", "MemFree:  1 kB\nMemTotal:       8388608 kB\n");
        let own = |text| ("/sys/fs/cgroup/game/duet/memory.max", text);
        assert_eq!(limit_of(&[machine, group, own("1073741824\n")]), GIB);
        assert_eq!(limit_of(&[machine, group, own("max\n"), ("/sys/fs/cgroup/game/memory.max", "2147483648\n")]), 2 * GIB);
        assert_eq!(limit_of(&[machine, group, own("max\n"), ("/sys/fs/cgroup/memory.max", "3221225472\n")]), 3 * GIB);
        assert_eq!(limit_of(&[machine, group, own("max\n")]), 8 * GIB);
    }

    #[test]
    fn version_1_is_read_in_its_own_folder_and_a_container_may_not_see_its_path() {
        let group = ("/proc/self/cgroup", "9:name=systemd:/\n4:memory:/docker/abc\n1:cpu:/\n0::/\n");
        let machine = ("/proc/meminfo", "MemTotal: 8388608 kB\n");
        let unlimited = ("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit_of(&[machine, group, ("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "1073741824\n")]), GIB);
        assert_eq!(limit_of(&[machine, group, ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n")]), GIB);
        assert_eq!(limit_of(&[machine, group, unlimited]), 8 * GIB);
    }

    #[test]
    fn without_any_of_these_files_memory_is_no_limit() {
        assert_eq!(limit_of(&[]), u64::MAX);
        assert_eq!(limit_of(&[("/proc/self/cgroup", "::::\nx\n0::\n"), ("/proc/meminfo", "MemTotal: much\n")]), u64::MAX);
    }

    #[test]
    fn marks_are_80_and_90_percent_of_it_unless_the_settings_say_otherwise() {
        let marks_of = |high, critical| marks(&MemoryOptions { high, critical });
        let automatic = marks_of(0, 0).unwrap();
        assert!(automatic.high / 8 == automatic.critical / 9 && automatic.high > 0, "{automatic:?}");
        assert_eq!(marks_of(GIB, 2 * GIB).unwrap(), MemoryMarks { high: GIB, critical: 2 * GIB });
        assert_eq!(marks_of(1, 0).unwrap(), MemoryMarks { high: 1, critical: automatic.critical });
        assert!(marks_of(1 << 60, 0).unwrap_err().to_string().contains("memory_critical"));
    }
}
