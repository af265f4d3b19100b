//! The folder of compiled plugins. Only code that this host compiled itself is ever taken from it.

use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;

use crate::load::check::CHECKS;
use crate::load::compile::Compiled;

/// What a file begins with; the number is the version of this layout.
const MAGIC: [u8; 8] = *b"duet-c01";
/// Magic, hash of the source, hash of the code.
const HEADER_BYTES: usize = MAGIC.len() + 64;
/// Extension of a compiled plugin.
const EXTENSION: &str = "cwasm";
/// Extension of one that is still being written.
const TEMPORARY: &str = "tmp";
/// A file that no plugin has used for this long is removed.
const UNUSED_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most bytes that all files may have together; beyond it, those unused the longest are removed. A large plugin takes some 20 MiB.
const BYTES_MAX: u64 = 4 << 30;
/// A file that is still unfinished after this long never will be.
const TEMPORARY_MAX: Duration = Duration::from_secs(3600);

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[error("{path}: {source}; choose another folder with `cache`", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} can be written by other users (mode {mode:o}), who could put code into this process; run `chmod 700` on it", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("{} belongs to another user, who could put code into this process; choose another folder with `cache`", path.display())]
    Foreign { path: PathBuf },
}

/// The hash of a plugin's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source([u8; 32]);

impl Source {
    pub(crate) fn of(wasm: &[u8]) -> Self {
        Self(Sha256::digest(wasm).into())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The folder, checked. Several servers may share one.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    engine_hash: u64,
}

impl Cache {
    pub(crate) fn open(folder: &Path, engine: &Engine) -> Result<Self, CacheError> {
        let at = |source| CacheError::Io { path: folder.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at)?;
        let metadata = fs::metadata(folder).map_err(at)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(CacheError::Open { path: folder.to_owned(), mode });
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(CacheError::Foreign { path: folder.to_owned() });
        }
        // Settings, wasmtime's version and the features of the CPU; and what files were checked against before they were compiled. If any
        // of it differs, the file is compiled again.
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        CHECKS.hash(&mut hasher);
        Ok(Self { folder: folder.to_owned(), engine_hash: hasher.finish() })
    }

    /// Where the compiled form of a file is, if it is there.
    fn path_of(&self, source: Source) -> PathBuf {
        self.folder.join(format!("{source}-{:016x}.{EXTENSION}", self.engine_hash))
    }

    /// The compiled form of a file. `None` if it is missing, or anything about it is in doubt.
    pub(crate) fn load(&self, source: Source) -> Option<Compiled> {
        let path = self.path_of(source);
        let doubt = |why: &str| tracing::debug!(file = %path.display(), "compiled plugin not used: {why}");
        match read(&path, source) {
            Ok(Ok((file, compiled))) => {
                // Notes when it was last used, for `prune`. If that fails, the folder cannot be written and is never pruned.
                drop(file.set_modified(SystemTime::now()));
                return Some(compiled);
            }
            Ok(Err(why)) => doubt(why),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => doubt(&error.to_string()),
        }
        None
    }

    /// Keeps the compiled form of a file for the next start: whole or not at all, even if the machine loses power.
    pub(crate) fn store(&self, source: Source, compiled: &Compiled) -> io::Result<()> {
        let mut file = tempfile::Builder::new().suffix(&format!(".{TEMPORARY}")).tempfile_in(&self.folder)?;
        let code = compiled.bytes();
        for part in [&MAGIC, source.0.as_slice(), &Sha256::digest(code), code] {
            file.write_all(part)?;
        }
        file.as_file().sync_all()?;
        file.persist(self.path_of(source)).map_err(|e| e.error)?;
        File::open(&self.folder)?.sync_all()?;
        self.prune(SystemTime::now(), BYTES_MAX)
    }

    /// Removes what no plugin has used for long. A file that is gone is merely compiled again, so several servers may do this at the same
    /// time.
    fn prune(&self, now: SystemTime, bytes_max: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
            let Some(extension) = path.extension().filter(|_| metadata.is_file()) else { continue };
            let unused = metadata.modified().ok().and_then(|used| now.duration_since(used).ok()).unwrap_or_default();
            if extension == EXTENSION {
                files.push((unused, metadata.len(), path));
            } else if extension == TEMPORARY && unused > TEMPORARY_MAX {
                drop(fs::remove_file(path));
            }
        }
        files.sort();
        let mut bytes = 0u64;
        for (unused, size, path) in files {
            bytes = bytes.saturating_add(size);
            if unused > UNUSED_MAX || bytes > bytes_max {
                drop(fs::remove_file(path));
            }
        }
        Ok(())
    }
}

/// Reads a file of the cache. The inner error says what about it is in doubt.
fn read(path: &Path, source: Source) -> io::Result<Result<(File, Compiled), &'static str>> {
    // Before opening: opening a pipe waits for its other end.
    if !fs::metadata(path)?.is_file() {
        return Ok(Err("it is not a file"));
    }
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.permissions().mode() & 0o022 != 0 {
        return Ok(Err("another user may have written it"));
    }
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header)?;
    let Some((of_source, of_code)) = header.strip_prefix(&MAGIC).and_then(|hashes| hashes.split_at_checked(32)) else {
        return Ok(Err("its header is of another kind"));
    };
    if of_source != source.0 {
        return Ok(Err("it was made from another plugin"));
    }
    if metadata.len() > BYTES_MAX {
        return Ok(Err("it is larger than the whole folder may be"));
    }
    let mut code = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).saturating_sub(HEADER_BYTES));
    (&mut file).take(BYTES_MAX).read_to_end(&mut code)?;
    if of_code != Sha256::digest(&code).as_slice() {
        return Ok(Err("it is damaged"));
    }
    Ok(Ok((file, Compiled::verified(code))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("cache"), &crate::call::engine::engine().unwrap()).unwrap();
        (folder, cache)
    }

    fn compiled(byte: u8) -> Compiled {
        Compiled::verified(vec![byte; 1000])
    }

    fn names(cache: &Cache) -> usize {
        fs::read_dir(&cache.folder).unwrap().count()
    }

    #[test]
    fn what_is_loaded_is_what_was_stored_for_that_source_and_nothing_else() {
        let (_folder, cache) = open();
        let (one, two) = (Source::of(b"one"), Source::of(b"two"));
        assert!(cache.load(one).is_none());
        cache.store(one, &compiled(1)).unwrap();
        cache.store(two, &compiled(2)).unwrap();
        assert_eq!(cache.load(one).unwrap().bytes(), [1; 1000]);
        fs::rename(cache.path_of(two), cache.path_of(one)).unwrap();
        assert!(cache.load(one).is_none(), "code of another source under its name");
        assert_eq!(names(&cache), 1, "no temporary file stays");
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let (_folder, cache) = open();
        let source = Source::of(b"one");
        cache.store(source, &compiled(1)).unwrap();
        let path = cache.path_of(source);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(cache.load(source).is_none(), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(cache.load(source).is_none(), "cut at {at}");
        }
        fs::write(&path, &good).unwrap();
        assert!(cache.load(source).is_some());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(cache.load(source).is_none(), "others could write it");
    }

    #[test]
    fn what_is_no_file_is_neither_waited_for_nor_read_without_end() {
        let (_folder, cache) = open();
        let source = Source::of(b"one");
        let path = cache.path_of(source);
        let (pipe, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, pipe, mode, 0).unwrap();
        assert!(cache.load(source).is_none(), "a pipe, which nobody writes to");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(cache.load(source).is_none());
        cache.store(source, &compiled(1)).unwrap();
        assert!(cache.load(source).is_some(), "it was replaced");
        File::options().append(true).open(&path).unwrap().set_len(BYTES_MAX + 1).unwrap();
        assert!(cache.load(source).is_none(), "nothing but a hole behind the code");
    }

    #[test]
    fn files_that_no_plugin_used_for_long_go_and_the_newest_stay_within_the_bound() {
        let (_folder, cache) = open();
        let sources: Vec<Source> = (0..4u8).map(|n| Source::of(&[n])).collect();
        let now = SystemTime::now();
        for (source, days) in sources.iter().zip([40, 3, 2, 1]) {
            cache.store(*source, &compiled(0)).unwrap();
            let file = File::options().append(true).open(cache.path_of(*source)).unwrap();
            file.set_modified(now - Duration::from_secs(days * 24 * 3600)).unwrap();
        }
        let abandoned = cache.folder.join("x.tmp");
        fs::write(&abandoned, "").unwrap();
        fs::write(cache.folder.join("notes.txt"), "not ours").unwrap();
        File::options().append(true).open(&abandoned).unwrap().set_modified(now - Duration::from_secs(7200)).unwrap();
        let there = || sources.iter().map(|s| cache.path_of(*s).exists()).collect::<Vec<_>>();
        cache.prune(now, u64::MAX).unwrap();
        assert_eq!(there(), [false, true, true, true]);
        assert!(!abandoned.exists());
        assert!(cache.load(sources[1]).is_some(), "used now");
        cache.prune(SystemTime::now(), 2 * (1000 + HEADER_BYTES as u64)).unwrap();
        assert_eq!(there(), [false, true, false, true], "the one unused the longest goes");
        assert_eq!(names(&cache), 3, "what is not ours stays");
    }
}
