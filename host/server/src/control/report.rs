//! What the runtime says, in the words of the protocol.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use duet_control::{Change, Plugin, Route, Swapped, Version};
use duet_runtime::{Counts, Happened, PluginSnapshot, StateMoved, VersionId};

/// Unix time in milliseconds.
pub(super) fn millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn version(VersionId { version, hash }: VersionId) -> Version {
    Version { version, hash }
}

pub(super) fn change(change: duet_runtime::Change) -> Change {
    let what = match change.what {
        Happened::Served => "served",
        Happened::Swapped => "swapped",
        Happened::Refused => "refused",
        Happened::RolledBack => "rolled back",
    };
    Change { at_ms: millis(change.at), version: version(change.version), what: what.to_owned(), why: change.why }
}

pub(super) fn swapped(swapped: duet_runtime::Swapped, notes: Vec<String>) -> Swapped {
    Swapped {
        name: swapped.name,
        from: Some(version(swapped.from)),
        to: version(swapped.to),
        state: swapped.state.name().to_owned(),
        state_bytes: swapped.state_bytes,
        save_us: micros(swapped.save),
        restore_us: micros(swapped.restore),
        pause_us: micros(swapped.pause),
        notes,
    }
}

/// Of a plugin that took nobody's place.
pub(super) fn served(name: &str, to: Version, notes: Vec<String>) -> Swapped {
    let state = StateMoved::Nothing.name().to_owned();
    Swapped { name: name.to_owned(), from: None, to, state, state_bytes: 0, save_us: 0, restore_us: 0, pause_us: 0, notes }
}

pub(super) fn plugin(plugin: &PluginSnapshot, last: Option<Change>) -> Plugin {
    let total = plugin.total();
    Plugin {
        name: plugin.name.clone(),
        version: Version { version: plugin.version.clone(), hash: plugin.hash.clone() },
        since_ms: plugin.since.map(millis),
        state: plugin.state.map(|state| state.name().to_owned()),
        probation_us: None,
        is_quarantined: plugin.is_quarantined,
        instances: plugin.in_flight.len(),
        in_flight: plugin.in_flight.iter().sum(),
        calls: plugin.calls,
        requests: total.requests,
        errors: total.errors,
        faults: plugin.faults,
        p50_us: None,
        p99_us: None,
        memory_bytes: plugin.memory_bytes as u64,
        routes: plugin.routes.iter().map(|(of, counts)| route(of.map(|route| route.0), counts)).collect(),
        last,
    }
}

fn route(route: Option<i32>, counts: &Counts) -> Route {
    Route { route, requests: counts.requests, errors: counts.errors, faults: counts.faults, p50_us: None, p99_us: None }
}
