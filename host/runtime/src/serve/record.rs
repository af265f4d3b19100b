//! What became of the versions of a seat.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use duet_core::Route;

use crate::load::cache::Source;
use crate::load::id::VersionId;
use crate::options::PluginOptions;
use crate::serve::version::Version;

/// Changes that are kept for each plugin.
const CHANGES_MAX: usize = 64;
/// For how long a route that was called may not go away.
const CALLED_WITHIN: Duration = Duration::from_secs(3600);

/// What became of the state of a plugin when its code was exchanged. Of several instances the worst counts, which is the last here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateMoved {
    /// There was none.
    Nothing,
    /// It is all there.
    Kept,
    /// It is as it was when the version that was taken back began.
    Earlier,
    /// It is gone.
    Lost,
}

impl StateMoved {
    /// In a word, for logs and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Kept => "kept",
            Self::Earlier => "earlier",
            Self::Lost => "lost",
        }
    }
}

/// Something that happened to the code of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: SystemTime,
    /// The version that came, or did not.
    pub version: VersionId,
    /// What.
    pub what: Happened,
    /// Why, or what there is to say about it.
    pub why: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It was the first to serve.
    Served,
    /// It took the place of another.
    Swapped,
    /// It was to take the place of another, and did not.
    Refused,
    /// An operator went back to it.
    RolledBack,
}

/// A version that served.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    pub(crate) id: VersionId,
    pub(crate) source: Source,
    pub(crate) file: PathBuf,
    pub(crate) options: PluginOptions,
}

/// Requests of a route so far, as they were counted last, and when there was one more.
#[derive(Clone, Copy, Debug, Default)]
struct Called {
    requests: u64,
    at: Option<Instant>,
}

/// What is known of the versions of a seat.
#[derive(Debug, Default)]
pub(crate) struct Record {
    changes: VecDeque<Change>,
    /// The newest first; the first is the one that serves.
    past: VecDeque<Past>,
    called: HashMap<Route, Called>,
    /// Since when the version serves that does.
    pub(crate) since: Option<SystemTime>,
    /// What became of the state when it came; `None` of the first.
    pub(crate) state: Option<StateMoved>,
}

impl Record {
    /// Notes that a version serves from now on.
    pub(crate) fn serves(&mut self, version: &Version, what: Happened, state: Option<StateMoved>, why: String) {
        (self.since, self.state) = (Some(SystemTime::now()), state);
        self.called.values_mut().for_each(|called| called.requests = 0);
        self.note(version.id.clone(), what, why);
        if let Some(source) = version.source {
            self.past.retain(|past| past.source != source);
            let Version { id, file, options, .. } = version;
            self.past.push_front(Past { id: id.clone(), source, file: file.clone(), options: options.clone() });
            // The one that serves, and those before it.
            self.past.truncate(options.versions_kept + 1);
        }
    }

    /// Notes something that happened.
    pub(crate) fn note(&mut self, version: VersionId, what: Happened, why: String) {
        self.changes.truncate(CHANGES_MAX - 1);
        self.changes.push_front(Change { at: SystemTime::now(), version, what, why });
    }

    /// What happened, the newest first.
    pub(crate) fn changes(&self) -> Vec<Change> {
        self.changes.iter().cloned().collect()
    }

    /// The version before the one that serves, or the one whose hash begins like this.
    pub(crate) fn before(&self, hash: Option<&str>) -> Option<Past> {
        let mut past = self.past.iter().skip(1);
        match hash {
            None => past.next(),
            Some(hash) => past.find(|past| past.source.to_string().starts_with(&hash.to_ascii_lowercase())),
        }
        .cloned()
    }

    /// Notes how many requests each route has had so far. Between two of these nobody knows when a request came.
    pub(crate) fn count(&mut self, now: Instant, counts: impl Iterator<Item = (Route, u64)>) {
        for (route, requests) in counts.filter(|(_, requests)| *requests > 0) {
            let called = self.called.entry(route).or_default();
            if called.requests != requests {
                *called = Called { requests, at: Some(now) };
            }
        }
    }

    /// The routes that were called of late, in order.
    pub(crate) fn called(&self, now: Instant) -> Vec<Route> {
        let of_late = |called: &Called| called.at.is_some_and(|at| now.saturating_duration_since(at) < CALLED_WITHIN);
        let mut routes: Vec<Route> = self.called.iter().filter(|(_, called)| of_late(called)).map(|(route, _)| *route).collect();
        routes.sort_unstable();
        routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_counts_as_called_for_an_hour_after_it_was_also_if_the_code_was_exchanged_meanwhile() {
        let (mut record, now) = (Record::default(), Instant::now());
        let minutes = |minutes: u64| now + Duration::from_secs(60 * minutes);
        record.count(now, [(Route(1), 5), (Route(2), 0), (Route(3), 1)].into_iter());
        record.count(minutes(30), [(Route(1), 6), (Route(2), 0), (Route(3), 1)].into_iter());
        assert_eq!(record.called(minutes(30)), [Route(1), Route(3)]);
        record.called.values_mut().for_each(|called| called.requests = 0);
        record.count(minutes(59), [(Route(1), 0), (Route(3), 0)].into_iter());
        assert_eq!(record.called(minutes(61)), [Route(1)]);
        assert_eq!(record.called(minutes(91)), []);
    }
}
