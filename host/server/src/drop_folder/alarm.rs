//! Waits for changes in the folder of plugins.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use super::listing::{Inode, inode};

/// What is a change. Reading is none, or the server would wake itself.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);
/// Changes that follow each other faster than this belong together.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long changes may keep others waiting that way.
const TOGETHER_TURNS: u32 = 6;
/// Room for some dozens of events; the rest is read in the next turn.
const EVENT_BYTES: usize = 4096;

/// Wakes whoever waits for changes.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<OwnedFd>);

impl Bell {
    /// Has the folder looked through again.
    pub(crate) fn ring(&self) {
        // It only fails if it was rung very often and nobody has looked yet.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

/// Why somebody was woken.
#[derive(Debug, Default)]
pub(super) struct Woken {
    /// Names that were renamed into the folder and not written to since.
    pub(super) moved: BTreeSet<OsString>,
    pub(super) is_rung: bool,
}

/// Is told of changes by the system as far as it does that.
#[derive(Debug)]
pub(super) struct Alarm {
    bell: Bell,
    inotify: Option<OwnedFd>,
    /// The folder that is watched, or could not be.
    folder: Option<Inode>,
}

impl Alarm {
    /// One that watches nothing yet.
    ///
    /// # Errors
    /// If the process has no file descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { bell: Bell(Arc::new(bell)), inotify: None, folder: None })
    }

    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Watches the folder that has this name now, if it is not watched already.
    ///
    /// # Errors
    /// Why the system does not tell of changes in it; said once for each folder.
    pub(super) fn watch(&mut self, folder: &Path) -> io::Result<()> {
        let inode = fs::metadata(folder).ok().map(|metadata| inode(&metadata));
        if std::mem::replace(&mut self.folder, inode) == inode || inode.is_none() {
            return Ok(());
        }
        self.inotify = None;
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&fd, folder, CHANGES)?;
        self.inotify = Some(fd);
        Ok(())
    }

    /// Waits for a change, until nothing more follows it, or until the time is over.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Woken {
        let mut woken = Woken::default();
        let mut left = timeout;
        for _ in 0..=TOGETHER_TURNS {
            if !self.ready(left) {
                break;
            }
            self.collect(&mut woken);
            left = Some(TOGETHER);
        }
        woken
    }

    fn ready(&self, timeout: Option<Duration>) -> bool {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut sources: Vec<PollFd<'_>> =
            [Some(&*self.bell.0), self.inotify.as_ref()].into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        poll(&mut sources, timeout.as_ref()).is_ok_and(|ready| ready > 0)
    }

    fn collect(&self, woken: &mut Woken) {
        woken.is_rung |= rustix::io::read(&self.bell.0, &mut [0; 8]).is_ok();
        let Some(fd) = &self.inotify else { return };
        let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut events = Reader::new(fd, &mut buffer);
        while let Ok(event) = events.next() {
            let what = event.events();
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            match name {
                Some(name) if what.contains(ReadFlags::MOVED_TO) => drop(woken.moved.insert(name.to_owned())),
                Some(name) if what.intersects(ReadFlags::CREATE | ReadFlags::MODIFY) => drop(woken.moved.remove(name)),
                // Something was not told: nothing is known to be whole.
                None if what.contains(ReadFlags::QUEUE_OVERFLOW) => woken.moved.clear(),
                _ => {}
            }
            if events.is_buffer_empty() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    #[test]
    fn it_wakes_for_changes_and_its_bell_and_knows_what_was_renamed_and_not_written_to_since() {
        let folder = tempfile::tempdir().unwrap();
        let mut alarm = Alarm::new().unwrap();
        alarm.watch(folder.path()).unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "b", "..data_tmp"] {
            fs::write(path(name), "x").unwrap();
        }
        fs::rename(path("a"), path("a.wasm")).unwrap();
        fs::rename(path("b"), path("b.wasm")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
        fs::write(path("b.wasm"), "half").unwrap();
        let woken = alarm.wait(LONG);
        assert_eq!(woken.moved.iter().collect::<Vec<_>>(), ["..data", "a.wasm"]);
        assert!(!woken.is_rung);
        drop(fs::read(path("a.wasm")).unwrap());
        assert!(alarm.wait(Some(Duration::ZERO)).moved.is_empty());
        let bell = alarm.bell();
        std::thread::spawn(move || bell.ring()).join().unwrap();
        assert!(alarm.wait(LONG).is_rung);
        assert!(!alarm.wait(Some(Duration::ZERO)).is_rung);
    }

    #[test]
    fn a_folder_that_cannot_be_watched_is_told_once() {
        let mut alarm = Alarm::new().unwrap();
        let (one, other) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        for (path, is_told) in [(one.path(), true), (one.path(), false), (other.path(), true), (Path::new("/nowhere/at/all"), false)] {
            assert_eq!(alarm.watch(path).is_err(), is_told, "{}", path.display());
        }
        alarm.bell().ring();
        assert!(alarm.wait(LONG).is_rung);
    }
}
