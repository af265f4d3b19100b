//! Reads a settings file from disk without trusting it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::report::{Place, Report};

/// The largest settings file that is read, in bytes; a larger one is a mistake.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a settings file. `None` if it cannot be read; the report then has the reason.
///
/// Anything but a regular file of at most [`FILE_BYTES_MAX`] bytes of UTF-8 is refused, so that a pipe or a device that was dropped next to
/// a plugin neither blocks the caller nor fills its memory.
pub fn read(path: &Path, report: &Report) -> Option<String> {
    noted(path, report, read_checked(path))
}

/// The same for a file in a folder that others write to. A symbolic link is followed as long as it stays in the folder of the file, as
/// those of a Kubernetes volume do; one that leads out would let them read files from outside.
pub fn read_inside(path: &Path, report: &Report) -> Option<String> {
    noted(path, report, inside(path).and_then(|place| read_checked(&place)))
}

fn noted(path: &Path, report: &Report, read: Result<String, String>) -> Option<String> {
    let place = || Place { file: path.display().to_string(), ..Place::default() };
    read.map_err(|problem| report.mistake(place(), problem)).ok()
}

fn inside(path: &Path) -> Result<PathBuf, String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (folder, place) =
        (folder.canonicalize().map_err(|error| unreadable(&error))?, path.canonicalize().map_err(|error| unreadable(&error))?);
    if !place.starts_with(folder) {
        return Err("cannot be read: it is a link that leads out of its folder".into());
    }
    Ok(place)
}

fn unreadable(error: &std::io::Error) -> String {
    format!("cannot be read: {error}")
}

fn read_checked(path: &Path) -> Result<String, String> {
    // Before opening: opening a pipe waits for its other end.
    if !fs::metadata(path).map_err(|error| unreadable(&error))?.is_file() {
        return Err("cannot be read: not a regular file".into());
    }
    let file = fs::File::open(path).map_err(|error| unreadable(&error))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("too large: at most {FILE_BYTES_MAX} bytes are allowed"));
    }
    String::from_utf8(bytes).map_err(|error| format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        let report = Report::new();
        assert_eq!(read(path, &report), None);
        report.into_result().unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("duet.toml");
        fs::write(&path, "a = 1\n").unwrap();
        let report = Report::new();
        assert_eq!(read(&path, &report).as_deref(), Some("a = 1\n"));
        assert_eq!(report.into_result(), Ok(()));
    }

    #[test]
    fn a_missing_file_a_folder_and_a_device_are_mistakes_with_the_file_name() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.toml");
        assert!(refused(&missing).starts_with(&format!("{}: cannot be read", missing.display())));
        assert!(refused(dir.path()).contains("not a regular file"));
        #[cfg(unix)]
        assert!(refused(Path::new("/dev/zero")).contains("not a regular file"));
    }

    #[test]
    fn a_file_above_the_limit_or_not_utf8_is_a_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.toml");
        fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(refused(&path).contains("too large: at most 1048576 bytes are allowed"));
        fs::write(&path, b"a = \"\xff\"").unwrap();
        assert!(refused(&path).contains("not UTF-8 at byte 5"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_inside_of_its_folder_and_never_out_of_it() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("plugins");
        fs::create_dir_all(folder.join("..data")).unwrap();
        fs::write(folder.join("..data/a.toml"), "a = 1").unwrap();
        fs::write(dir.path().join("secret.toml"), "a = 2").unwrap();
        for (target, name) in [("..data/a.toml", "a.toml"), ("../secret.toml", "b.toml"), ("../plugins/..data/a.toml", "c.toml")] {
            symlink(target, folder.join(name)).unwrap();
        }
        let told = |name: &str| {
            let report = Report::new();
            let text = read_inside(&folder.join(name), &report);
            text.ok_or_else(|| report.into_result().unwrap_err().to_string())
        };
        assert_eq!(told("a.toml").as_deref(), Ok("a = 1"));
        assert_eq!(told("c.toml").as_deref(), Ok("a = 1"), "out and in again");
        assert!(told("b.toml").unwrap_err().ends_with("b.toml: cannot be read: it is a link that leads out of its folder"));
    }
}
