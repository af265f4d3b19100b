//! Durations (`"250ms"`) and sizes (`"64KiB"`): reading and showing.

use std::time::Duration;

/// What a duration looks like, for messages.
pub(crate) const DURATIONS: &str = "durations such as \"250ms\", \"5s\", \"2m\"";

/// What a size looks like, for messages.
pub(crate) const SIZES: &str = "bytes as a number, or sizes such as \"64KiB\", \"1MiB\", \"2GiB\"";

const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a whole number followed by `ms`, `s`, `m` or `h`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATION_UNITS).map(Duration::from_millis)
}

/// Reads a whole number followed by `B`, `KiB`, `MiB` or `GiB`; the answer is in bytes.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZE_UNITS)
}

/// A duration as it would be written in a file, in the largest unit that keeps it whole.
pub(crate) fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".into(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

/// A size as it would be written in a file, in the largest unit that keeps it whole.
pub(crate) fn show_size(bytes: u64) -> String {
    match SIZE_UNITS.iter().find(|(_, unit)| bytes > 0 && *unit > 1 && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_whole_number_with_a_unit() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(parse_duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parse_duration("0s"), Some(Duration::ZERO));
        for wrong in ["", "5", "s", "-5s", "+5s", "1.5s", "5 s", "5sec", "5S", "1m30s", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_a_whole_number_with_a_unit() {
        assert_eq!(parse_size("512B"), Some(512));
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("4GiB"), Some(4 << 30));
        for wrong in ["", "KiB", "64", "64KB", "64kib", "64 KiB", "-1MiB", "1.5MiB", "17179869184GiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for ms in [0, 1, 250, 1_000, 1_500, 60_000, 90_000, 3_600_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_size(1_000), "1000");
        assert_eq!(show_size(0), "0");
        assert_eq!(show_size(3 << 30), "3GiB");
    }
}
