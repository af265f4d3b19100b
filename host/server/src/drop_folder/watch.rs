//! Looks at the folder of plugins whenever something may have changed there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::listing::Listing;
use super::misses::absolute;
use super::rounds::{Round, Rounds};

/// How often it is looked at without a reason: the system does not tell of changes on network file systems, behind links into other folders,
/// and when its limits are reached.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What to do next.
pub(super) enum Follow {
    /// An operator wants what was refused to be tried again.
    Retry,
    /// Act on changes. The files of those that changed, in their order.
    Round(Round, Vec<PathBuf>),
}

/// What was seen in a folder.
#[derive(Debug)]
pub(super) struct Watch {
    folder: PathBuf,
    /// Whether it looks without being asked.
    always: bool,
    alarm: Alarm,
    rounds: Rounds,
    again: Option<Instant>,
    /// It was told that the folder cannot be read.
    is_unreadable: bool,
}

impl Watch {
    /// Of a folder whose plugins have been acted on. Without `always` it only looks when the bell is rung.
    pub(super) fn new(folder: PathBuf, always: bool, alarm: Alarm, listing: &Listing) -> Self {
        let again = always.then(Instant::now);
        let is_unreadable = listing.inode == Listing::default().inode;
        Self { folder, always, alarm, rounds: Rounds::new(listing), again, is_unreadable }
    }

    /// Lets a plugin count as new.
    pub(super) fn forget(&mut self, name: &str) {
        self.rounds.forget(name);
    }

    /// Waits for something to do.
    pub(super) fn next(&mut self) -> Follow {
        loop {
            let now = Instant::now();
            let soon = self.again.map(|again| again.saturating_duration_since(now));
            let timeout = if self.always { Some(soon.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)) } else { soon };
            let woken = self.alarm.wait(timeout);
            if woken.is_rung {
                self.again = Some(Instant::now());
                return Follow::Retry;
            }
            if let Some(round) = self.look(&woken.moved) {
                return round;
            }
        }
    }

    fn look(&mut self, moved: &BTreeSet<OsString>) -> Option<Follow> {
        // Before it is read, so that nothing happens between the two.
        if self.always
            && let Err(error) = self.alarm.watch(&self.folder)
        {
            let folder = absolute(&self.folder);
            tracing::warn!("{folder}: the system does not tell of changes ({error}); it is looked at every {LOOK_EVERY:?} instead");
        }
        let listing = match Listing::read(&self.folder) {
            Ok(listing) => listing,
            Err(error) => {
                if !std::mem::replace(&mut self.is_unreadable, true) {
                    tracing::warn!("{}: {error}; the plugins that serve go on", absolute(&self.folder));
                }
                self.again = None;
                return None;
            }
        };
        self.is_unreadable = false;
        let (round, again) = self.rounds.look(&listing, moved, Instant::now());
        self.again = again;
        if round.is_empty() {
            return None;
        }
        let files = round.changed.iter().filter_map(|name| Some(listing.plugins.get(name)?.component.clone())).collect();
        Some(Follow::Round(round, files))
    }
}
