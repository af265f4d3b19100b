//! The place of the control socket, which one server at a time can have.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

/// Added to the path of the socket: a file that is locked by the server which has the socket. It stays when the server ends, and its lock
/// does not, however the server ends.
const LOCK: &str = ".lock";

/// Why the socket is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error(
        "the server of {} has the control socket {}: two servers cannot share it; end that one, or give this one another `control` (`\"\"` for none)",
        process(.pid), path.display()
    )]
    Taken { path: PathBuf, pid: Option<u32> },
    #[error(
        "no control socket: {} can be written by other users (mode {mode:o}), who could put another socket there; run `chmod 700` on it",
        path.display()
    )]
    Open { path: PathBuf, mode: u32 },
    #[error("no control socket: {} belongs to another user; choose another path with `control`", path.display())]
    Foreign { path: PathBuf },
    #[error("no control socket: {} is there and is no socket; choose another path with `control`", path.display())]
    NoSocket { path: PathBuf },
    #[error("no control socket: {}: {source}; choose another path with `control`", path.display())]
    Io { path: PathBuf, source: io::Error },
}

fn process(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// A socket that is listened on; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    listener: UnixListener,
    /// Locked until the process ends.
    _lock: File,
}

impl Place {
    /// Takes the place, also from a server that is dead.
    ///
    /// # Errors
    /// If a server that lives has it, or there cannot be a socket which only this user reaches.
    pub(crate) fn take(path: &Path) -> Result<Self, PlaceError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| PlaceError::Io { path, source }
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
        check(folder, &fs::metadata(folder).map_err(at(folder))?)?;
        let lock = lock(path)?;
        match fs::symlink_metadata(path) {
            // Nobody listens: whoever does has the lock.
            Ok(there) if there.file_type().is_socket() => fs::remove_file(path).map_err(at(path))?,
            Ok(_) => return Err(PlaceError::NoSocket { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(path)(error)),
        }
        let listener = UnixListener::bind(path).map_err(at(path))?;
        let place = Self { path: path.to_owned(), listener, _lock: lock };
        // Until then the umask decides who may connect; who that is is asked in any case.
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(at(path))?;
        Ok(place)
    }

    /// What accepts connections.
    ///
    /// # Errors
    /// If the process has no file descriptor left.
    pub(crate) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

/// Whoever can write to the folder can put a socket of his own in the place of this one. Where names are sticky, as in `/tmp`, he cannot.
fn check(folder: &Path, metadata: &fs::Metadata) -> Result<(), PlaceError> {
    let mode = metadata.permissions().mode() & 0o7777;
    let is_sticky = mode & 0o1000 != 0;
    if mode & 0o022 != 0 && !is_sticky {
        return Err(PlaceError::Open { path: folder.to_owned(), mode });
    }
    if metadata.uid() != geteuid().as_raw() && metadata.uid() != 0 {
        return Err(PlaceError::Foreign { path: folder.to_owned() });
    }
    Ok(())
}

fn lock(socket: &Path) -> Result<File, PlaceError> {
    let mut path = socket.as_os_str().to_owned();
    path.push(LOCK);
    let path = PathBuf::from(path);
    let at = |source| PlaceError::Io { path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let mut file = options.open(&path).map_err(at)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            drop((&file).take(16).read_to_string(&mut pid));
            return Err(PlaceError::Taken { path: socket.to_owned(), pid: pid.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(at(error)),
    }
    file.set_len(0).map_err(at)?;
    writeln!(file, "{}", std::process::id()).map_err(at)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_user_reaches_the_socket_and_its_folder() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("new/folder/control.sock");
        let place = Place::take(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop(place);
        assert!(!path.exists(), "it stays behind");
    }

    #[test]
    fn a_place_is_taken_from_the_dead_and_not_from_the_living_nor_from_what_is_no_socket() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        let living = Place::take(&path).unwrap();
        let error = Place::take(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())) && error.contains("control.sock"), "{error}");
        drop(living);
        fs::write(&path, "notes").unwrap();
        assert!(matches!(Place::take(&path), Err(PlaceError::NoSocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"notes");
    }

    #[test]
    fn a_folder_that_others_write_to_is_no_place_unless_names_are_sticky_there() {
        let top = tempfile::tempdir().unwrap();
        let take = |mode| {
            fs::set_permissions(top.path(), Permissions::from_mode(mode)).unwrap();
            Place::take(&top.path().join("control.sock"))
        };
        for mode in [0o777, 0o770, 0o702] {
            assert!(matches!(take(mode), Err(PlaceError::Open { mode: found, .. }) if found == mode), "{mode:o}");
        }
        for mode in [0o1777, 0o755] {
            assert!(take(mode).is_ok(), "{mode:o}");
        }
    }
}
