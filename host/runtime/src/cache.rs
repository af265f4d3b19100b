//! The folder of compiled plugins. Only code that this host compiled itself is ever loaded from it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[error("cache folder {path}: {source}; choose another with `cache`", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cache folder {} can be written by other users (mode {mode:o}), who could put code into this process; run `chmod 700` on it", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("cache folder {} belongs to another user, who could put code into this process; choose another with `cache`", path.display())]
    Foreign { path: PathBuf },
}

/// The folder, checked.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    engine_hash: u64,
    temporaries: AtomicU64,
}

impl Cache {
    pub(crate) fn open(folder: &Path, engine: &Engine) -> Result<Self, CacheError> {
        let at = |source| CacheError::Io { path: folder.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at)?;
        let metadata = fs::metadata(folder).map_err(at)?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o022 != 0 {
            return Err(CacheError::Open { path: folder.to_owned(), mode });
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(CacheError::Foreign { path: folder.to_owned() });
        }
        // Settings, wasmtime's version and the features of the CPU.
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { folder: folder.to_owned(), engine_hash: hasher.finish(), temporaries: AtomicU64::new(0) })
    }

    /// Where the compiled form of a file is, if it is there.
    pub(crate) fn path_of(&self, wasm: &[u8]) -> PathBuf {
        let hash: String = Sha256::digest(wasm).iter().map(|b| format!("{b:02x}")).collect();
        self.folder.join(format!("{hash}-{:016x}.cwasm", self.engine_hash))
    }

    /// A name of its own for a file that is moved to its place when complete.
    pub(crate) fn temporary(&self) -> PathBuf {
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{}-{number}.tmp", std::process::id()))
    }

    /// Loads compiled code. `None` if it is missing or was built for another engine.
    pub(crate) fn load(&self, engine: &Engine, compiled: &Path) -> Option<Component> {
        if !compiled.starts_with(&self.folder) || !compiled.is_file() {
            return None;
        }
        // SAFETY: `deserialize_file` runs what is in the file. The file is in a folder that only this user can write (`open`), under the
        // hash of its source, and was moved there by this host after its own compiler wrote it. No path of a plugin folder
        // ever comes here.
        #[allow(unsafe_code, reason = "the one place that loads machine code; the argument is above")]
        let loaded = unsafe { Component::deserialize_file(engine, compiled) };
        loaded.inspect_err(|e| tracing::debug!(file = %compiled.display(), "compiled plugin not used: {e:#}")).ok()
    }
}
