//! What lies in the folder of plugins at a moment.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::misses::is_plugin;

/// Which folder or file it is, whatever it is called.
pub(super) type Inode = (u64, u64);

/// Everything in a folder; nothing, and no folder, by default.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) inode: Inode,
    /// All entries, by name.
    pub(super) entries: Vec<PathBuf>,
    /// The plugins among them.
    pub(super) plugins: BTreeMap<String, Files>,
}

/// The files of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) component: PathBuf,
    pub(super) component_stamp: Stamp,
    pub(super) settings_stamp: Option<Stamp>,
}

/// Differs if somebody wrote to a file or put another one in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: Inode,
    bytes: u64,
    modified: (i64, i64),
    /// Also moves where a copy has the time of its original.
    changed: (i64, i64),
    /// It is found through a link.
    pub(super) is_link: bool,
}

impl Listing {
    /// Reads a folder.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let inode = inode(&fs::metadata(folder)?);
        let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
        entries.sort();
        let files = |path: &PathBuf| {
            let files = Files {
                component: path.clone(),
                component_stamp: Stamp::of(path)?,
                settings_stamp: Stamp::of(&path.with_extension("toml")),
            };
            Some((name(path), files))
        };
        let plugins = entries.iter().filter(|path| is_plugin(path)).filter_map(files).collect();
        Ok(Self { inode, entries, plugins })
    }
}

/// The name of the plugin in a file.
pub(super) fn name(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

pub(super) fn inode(metadata: &Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

impl Stamp {
    /// `None` if there is nothing. Of a link that leads nowhere it is that of the link.
    fn of(path: &Path) -> Option<Self> {
        let own = fs::symlink_metadata(path).ok()?;
        let is_link = own.is_symlink();
        let metadata = if is_link { fs::metadata(path).unwrap_or(own) } else { own };
        Some(Self {
            inode: inode(&metadata),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            is_link,
        })
    }
}
