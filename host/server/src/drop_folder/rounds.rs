//! When a change in the folder is to be acted on: decided from what was seen and when, without looking at anything itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

use super::listing::{Files, Inode, Listing, Stamp};

/// A file that was not renamed into its place counts as written when nothing has happened to it for so long.
pub(super) const STABLE: Duration = Duration::from_millis(300);
/// How long changes that are ready wait for others that are not, so that what came together is one round.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(1);

/// What was seen, and what has been acted on.
#[derive(Debug)]
pub(super) struct Rounds {
    folder: Inode,
    /// The files that were acted on last.
    known: BTreeMap<String, Files>,
    /// Differences to them that may not be over yet.
    waiting: BTreeMap<String, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// `None` if they are gone.
    files: Option<Files>,
    since: Instant,
    /// They were renamed into their place, all that differs.
    are_whole: bool,
}

/// What is to be done now, each by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) gone: Vec<String>,
    pub(super) changed: Vec<String>,
}

impl Waiting {
    fn ready_at(&self) -> Instant {
        if self.are_whole { self.since } else { self.since + STABLE }
    }
}

impl Round {
    pub(super) fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.changed.is_empty()
    }
}

impl Rounds {
    /// With the plugins that were acted on already.
    pub(super) fn new(listing: &Listing) -> Self {
        Self { folder: listing.inode, known: listing.plugins.clone(), waiting: BTreeMap::new() }
    }

    /// The next round, and when to look again. `moved` are the names that were renamed into the folder since the last look.
    pub(super) fn look(&mut self, listing: &Listing, moved: &BTreeSet<OsString>, now: Instant) -> (Round, Option<Instant>) {
        self.compare(listing, moved, now);
        let first_ready = self.waiting.values().map(Waiting::ready_at).min();
        let last_ready = self.waiting.values().map(Waiting::ready_at).max();
        let (Some(first), Some(last)) = (first_ready, last_ready) else { return (Round::default(), None) };
        let begins = last.min(first + WAIT_FOR_OTHERS);
        if now < begins {
            return (Round::default(), Some(begins));
        }
        let mut round = Round::default();
        for (name, waiting) in std::mem::take(&mut self.waiting) {
            if waiting.ready_at() > now {
                self.waiting.insert(name, waiting);
                continue;
            }
            match waiting.files {
                Some(files) => {
                    self.known.insert(name.clone(), files);
                    round.changed.push(name);
                }
                None => {
                    self.known.remove(&name);
                    round.gone.push(name);
                }
            }
        }
        (round, self.waiting.values().map(Waiting::ready_at).min())
    }

    /// Lets a file count as new, so that it is loaded once more.
    pub(super) fn forget(&mut self, name: &str) {
        self.known.remove(name);
    }

    fn compare(&mut self, listing: &Listing, moved: &BTreeSet<OsString>, now: Instant) {
        // An empty folder in the place of another is what a volume leaves behind that is not mounted.
        if listing.plugins.is_empty() && listing.inode != self.folder {
            return;
        }
        self.folder = listing.inode;
        let mut before = std::mem::take(&mut self.waiting);
        for name in self.known.keys().chain(listing.plugins.keys()).collect::<BTreeSet<_>>() {
            let (known, files) = (self.known.get(name), listing.plugins.get(name));
            if known == files {
                continue;
            }
            let before = before.remove(name).filter(|before| before.files.as_ref() == files);
            let are_whole = files.is_some_and(|files| are_whole(known, files, moved));
            let kept = before.filter(|before| before.are_whole || !are_whole);
            self.waiting.insert(name.clone(), kept.unwrap_or_else(|| Waiting { files: files.cloned(), since: now, are_whole }));
        }
    }
}

/// Whether everything that differs was renamed into its place, itself or as the folder that links lead through.
fn are_whole(known: Option<&Files>, files: &Files, moved: &BTreeSet<OsString>) -> bool {
    let links_moved = moved.iter().any(|name| !name.as_encoded_bytes().ends_with(b".wasm") && !name.as_encoded_bytes().ends_with(b".toml"));
    let is_whole = |stamp: &Stamp, name: Option<&OsStr>| (stamp.is_link && links_moved) || name.is_some_and(|name| moved.contains(name));
    let component = &files.component;
    let same_component = known.is_some_and(|known| known.component_stamp == files.component_stamp);
    let same_settings = known.and_then(|known| known.settings_stamp) == files.settings_stamp;
    let settings = component.with_extension("toml");
    (same_component || is_whole(&files.component_stamp, component.file_name()))
        && (same_settings || files.settings_stamp.is_some_and(|stamp| is_whole(&stamp, settings.file_name())))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// A folder, and a clock of its own.
    struct Scene {
        folder: tempfile::TempDir,
        rounds: Rounds,
        begun: Instant,
    }

    impl Scene {
        fn with(files: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            files.iter().for_each(|name| fs::write(folder.path().join(name), "as it was").unwrap());
            let rounds = Rounds::new(&Listing::read(folder.path()).unwrap());
            Self { folder, rounds, begun: Instant::now() }
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }

        fn look_at(&mut self, folder: &Path, millis: u64, moved: &[&str]) -> (Round, Option<u64>) {
            let moved = moved.iter().map(OsString::from).collect();
            let now = self.begun + Duration::from_millis(millis);
            let (round, again) = self.rounds.look(&Listing::read(folder).unwrap(), &moved, now);
            (round, again.map(|again| again.duration_since(self.begun).as_millis() as u64))
        }

        fn look(&mut self, millis: u64, moved: &[&str]) -> (Round, Option<u64>) {
            let folder = self.folder.path().to_owned();
            self.look_at(&folder, millis, moved)
        }
    }

    fn round(gone: &[&str], changed: &[&str]) -> Round {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Round { gone: owned(gone), changed: owned(changed) }
    }

    #[test]
    fn a_file_that_is_written_in_its_place_counts_when_it_has_rested() {
        let mut scene = Scene::with(&["a.wasm", "b.wasm"]);
        assert_eq!(scene.look(0, &[]), (Round::default(), None));
        scene.write("a.wasm", "half");
        assert_eq!(scene.look(10, &[]), (Round::default(), Some(310)));
        scene.write("a.wasm", "half and more");
        assert_eq!(scene.look(200, &[]), (Round::default(), Some(500)));
        assert_eq!(scene.look(499, &[]), (Round::default(), Some(500)));
        assert_eq!(scene.look(500, &[]), (round(&[], &["a"]), None));
        assert_eq!(scene.look(501, &[]), (Round::default(), None));
        scene.write("a.toml", "");
        assert_eq!(scene.look(600, &[]).1, Some(900));
        assert_eq!(scene.look(900, &[]), (round(&[], &["a"]), None));
    }

    #[test]
    fn a_file_that_was_renamed_into_its_place_counts_at_once_even_if_it_was_seen_before() {
        let mut scene = Scene::with(&["a.wasm"]);
        scene.write("a.tmp", "new");
        fs::rename(scene.path("a.tmp"), scene.path("a.wasm")).unwrap();
        assert_eq!(scene.look(0, &[]).0, Round::default());
        assert_eq!(scene.look(5, &["a.wasm"]), (round(&[], &["a"]), None));
        // Its settings were not.
        scene.write("a.toml", "");
        scene.write("a.tmp", "newer");
        fs::rename(scene.path("a.tmp"), scene.path("a.wasm")).unwrap();
        assert_eq!(scene.look(10, &["a.wasm"]), (Round::default(), Some(310)));
    }

    #[test]
    fn what_comes_together_is_one_round_and_a_file_that_never_rests_holds_up_nothing() {
        let mut scene = Scene::with(&["gone.wasm"]);
        scene.write("b.wasm", "");
        scene.look(0, &[]);
        scene.write("a.wasm", "");
        fs::remove_file(scene.path("gone.wasm")).unwrap();
        assert_eq!(scene.look(100, &[]), (Round::default(), Some(400)));
        assert_eq!(scene.look(300, &[]), (Round::default(), Some(400)));
        assert_eq!(scene.look(400, &[]), (round(&["gone"], &["a", "b"]), None));
        scene.write("c.wasm", "");
        for millis in (500..2000).step_by(100) {
            scene.write("flood.wasm", &"x".repeat(millis));
            let found = scene.look(millis as u64, &[]).0;
            assert_eq!(found, if millis == 1800 { round(&[], &["c"]) } else { Round::default() }, "{millis}");
        }
    }

    #[test]
    fn links_that_lead_through_a_folder_count_at_once_when_that_is_exchanged() {
        let mut scene = Scene::with(&[]);
        for version in ["..1", "..2"] {
            fs::create_dir(scene.path(version)).unwrap();
            scene.write(&format!("{version}/a.wasm"), version);
        }
        symlink("..1", scene.path("..data")).unwrap();
        symlink("..data/a.wasm", scene.path("a.wasm")).unwrap();
        scene.look(0, &[]);
        assert_eq!(scene.look(300, &[]).0, round(&[], &["a"]));
        symlink("..2", scene.path("..data_tmp")).unwrap();
        fs::rename(scene.path("..data_tmp"), scene.path("..data")).unwrap();
        assert_eq!(scene.look(400, &["..data"]).0, round(&[], &["a"]));
        assert_eq!(scene.look(500, &[]), (Round::default(), None));
    }

    #[test]
    fn a_change_that_is_taken_back_is_none_and_what_was_forgotten_is_new() {
        let mut scene = Scene::with(&["a.wasm"]);
        fs::rename(scene.path("a.wasm"), scene.path("aside")).unwrap();
        assert_eq!(scene.look(0, &[]).1, Some(300));
        scene.rounds.forget("b");
        scene.write("b.wasm", "");
        fs::remove_file(scene.path("b.wasm")).unwrap();
        fs::rename(scene.path("aside"), scene.path("a.wasm")).unwrap();
        // Renaming changes its time of change, so it is loaded once more.
        assert_eq!(scene.look(100, &["a.wasm"]).0, round(&[], &["a"]));
        assert_eq!(scene.look(200, &[]), (Round::default(), None));
        scene.rounds.forget("a");
        assert_eq!(scene.look(300, &[]).1, Some(600));
        assert_eq!(scene.look(600, &[]).0, round(&[], &["a"]));
    }

    #[test]
    fn an_empty_folder_in_the_place_of_another_takes_no_plugin_away() {
        let mut scene = Scene::with(&["a.wasm"]);
        let other = tempfile::tempdir().unwrap();
        assert_eq!(scene.look_at(other.path(), 0, &[]), (Round::default(), None));
        fs::write(other.path().join("b.wasm"), "").unwrap();
        scene.look_at(other.path(), 100, &[]);
        assert_eq!(scene.look_at(other.path(), 400, &[]).0, round(&["a"], &["b"]));
    }
}
