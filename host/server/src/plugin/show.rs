//! Answers for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use duet_client::Shown;
use duet_control::{Change, Done, Plugin, RefusedFile, Swapped, Version};

/// Digits of a hash that are shown; they are enough for `rollback`.
const HASH_DIGITS: usize = 12;

/// What came of a verb.
pub(super) fn done(done: &Done, now: SystemTime) -> String {
    match done {
        Done::List { plugins, refused } => list(plugins, refused, now),
        Done::Swap(swapped) | Done::RollBack(swapped) => exchanged(swapped),
        Done::Log { changes, .. } => log(changes, now),
    }
}

fn list(plugins: &[Plugin], refused: &[RefusedFile], now: SystemTime) -> String {
    let head = ["PLUGIN", "VERSION", "HASH", "SINCE", "STATE", "PROBATION", "CALLS", "ERRORS", "FAULTS", "P50", "P99", "MEMORY"];
    let rows = plugins.iter().map(|plugin| row(plugin, now));
    let mut text = if plugins.is_empty() { "no plugin serves".to_owned() } else { table(head, rows) };
    for plugin in plugins {
        for Change { at_ms, version, why, .. } in plugin.last.iter().filter(|last| last.what == "taken back") {
            text += &format!("\ntaken back  {} {}, {}: {why}", plugin.name, shown(version), ago(*at_ms, now));
        }
    }
    for RefusedFile { name, at_ms, why } in refused {
        text += &format!("\nrefused     {name}.wasm, {}: {why}", ago(*at_ms, now));
    }
    text
}

fn row(plugin: &Plugin, now: SystemTime) -> [String; 12] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let quarantined = plugin.is_quarantined.then(|| "quarantined".to_owned());
    let probation = plugin.probation_us.map(|left| format!("{} left", time(left)));
    [
        plugin.name.clone(),
        plugin.version.version.clone(),
        hash(&plugin.version).to_owned(),
        or_none(plugin.since_ms.map(|since| ago(since, now))),
        or_none(plugin.state.clone()),
        or_none(quarantined.or(probation)),
        plugin.calls.to_string(),
        plugin.errors.to_string(),
        plugin.faults.to_string(),
        or_none(plugin.p50_us.map(time)),
        or_none(plugin.p99_us.map(time)),
        bytes(plugin.memory_bytes),
    ]
}

fn exchanged(swapped: &Swapped) -> String {
    let Swapped { name, from, to, state, state_bytes, pause_us, notes, .. } = swapped;
    let mut text = match from {
        None => format!("{name} {} serves", shown(to)),
        Some(from) => {
            let state = if state == "kept" { format!("kept ({})", bytes(*state_bytes)) } else { state.clone() };
            format!("{name} {} serves instead of {}; state {state}, pause {}", shown(to), shown(from), time(*pause_us))
        }
    };
    notes.iter().for_each(|note| text += &format!("\nnote: {note}"));
    text
}

fn log(changes: &[Change], now: SystemTime) -> String {
    let rows = changes.iter().map(|Change { at_ms, version, what, why }| {
        [ago(*at_ms, now), version.version.clone(), hash(version).to_owned(), what.clone(), why.clone()]
    });
    table(["WHEN", "VERSION", "HASH", "WHAT", "WHY"], rows)
}

/// Columns two blanks apart, without blanks at the ends of lines.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let shown = rows.map(|row| row.map(|cell| Shown(&cell).to_string()));
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(shown).collect();
    let mut widths = [0; N];
    for row in &rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = cell.chars().count().max(*width));
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn hash(version: &Version) -> &str {
    version.hash.as_deref().map_or("-", |hash| hash.get(..HASH_DIGITS).unwrap_or(hash))
}

fn shown(version: &Version) -> String {
    format!("{} ({})", version.version, hash(version))
}

fn ago(at_ms: u64, now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH + Duration::from_millis(at_ms)).unwrap_or_default().as_secs();
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn time(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.0} s", micros as f64 / 1e6),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: &str) -> Version {
        Version { version: number.to_owned(), hash: Some("0123456789abcdef".to_owned()) }
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them_and_nothing_steers_the_terminal() {
        let now = UNIX_EPOCH + Duration::from_secs(200_000);
        let change = |seconds: u64, what: &str, why: &str| Change {
            at_ms: seconds * 1000,
            version: version("0.1.0"),
            what: what.to_owned(),
            why: why.to_owned(),
        };
        let changes = vec![change(199_999, "swapped", ""), change(190_000, "refused", "it lacks route 5\u{1b}[31m")];
        assert_eq!(
            done(&Done::Log { name: "dice".to_owned(), changes }, now),
            "WHEN     VERSION  HASH          WHAT     WHY\n\
             1 s ago  0.1.0    0123456789ab  swapped\n\
             2 h ago  0.1.0    0123456789ab  refused  it lacks route 5\\u{1b}[31m"
        );
    }

    #[test]
    fn an_exchange_is_a_sentence_and_its_notes() {
        let swapped = Swapped {
            name: "dice".to_owned(),
            from: Some(version("0.1.0")),
            to: version("0.2.0"),
            state: "kept".to_owned(),
            state_bytes: 1536,
            save_us: 1,
            restore_us: 1,
            pause_us: 1234,
            notes: vec!["so".to_owned()],
        };
        let first = Swapped { from: None, notes: Vec::new(), ..swapped.clone() };
        let now = SystemTime::now();
        assert_eq!(
            done(&Done::Swap(swapped), now),
            "dice 0.2.0 (0123456789ab) serves instead of 0.1.0 (0123456789ab); state kept (1.5 KiB), pause 1.2 ms\nnote: so"
        );
        assert_eq!(done(&Done::Swap(first), now), "dice 0.2.0 (0123456789ab) serves");
        assert_eq!(done(&Done::List { plugins: Vec::new(), refused: Vec::new() }, now), "no plugin serves");
    }
}
