//! What plugins have done so far and how they are doing, for operators.

use std::time::SystemTime;

use duet_core::Route;

use crate::serve::counters::Counts;
use crate::serve::plugin::Plugin;
use crate::serve::record::StateMoved;

/// One plugin.
#[derive(Clone, Debug)]
pub struct PluginSnapshot {
    /// Its name.
    pub name: String,
    /// The version it states.
    pub version: String,
    /// The hash of its file in hex; `None` for code that is linked in.
    pub hash: Option<String>,
    /// Requests that were accepted and are not handled yet, for each instance.
    pub in_flight: Vec<usize>,
    /// Calls of all instances.
    pub calls: u64,
    /// Faults: each counts once, however many requests failed with it.
    pub faults: u64,
    /// Whether it is out of service now.
    pub is_quarantined: bool,
    /// Since when this version serves.
    pub since: Option<SystemTime>,
    /// What became of the state when it took the place of another; `None` of the first.
    pub state: Option<StateMoved>,
    /// Bytes of all memories and tables of all instances.
    pub memory_bytes: usize,
    /// Counts of each route, in order, and last those of all events, which have no route.
    pub routes: Vec<(Option<Route>, Counts)>,
}

impl PluginSnapshot {
    pub(crate) fn of(plugin: &Plugin) -> Self {
        let version = &plugin.version;
        let record = plugin.seat.record.lock();
        let (since, state) = (record.since, record.state);
        drop(record);
        Self {
            name: plugin.seat.name.to_string(),
            version: version.manifest.version.clone(),
            hash: version.source.map(|source| source.to_string()),
            in_flight: plugin.seat.inboxes.iter().map(|inbox| inbox.in_flight()).collect(),
            calls: version.counters.iter().map(|instance| instance.calls()).sum(),
            faults: version.health.faults(),
            is_quarantined: plugin.is_quarantined(),
            routes: version.counts(),
            since,
            state,
            memory_bytes: version.code.memory_bytes(),
        }
    }

    /// All routes and events together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.routes.iter().for_each(|(_, counts)| total.add(*counts));
        total
    }
}
