//! Where things are in the repository.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folders of this checkout, as absolute paths.
#[derive(Debug)]
pub(crate) struct Place {
    /// The top of the repository.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
}

impl Place {
    /// Found from the location of this crate.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let own = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = own.ancestors().nth(2).context("this crate is not two folders deep")?.to_owned();
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self { root, target })
    }

    /// The drop folder, which also holds the sources of our plugins.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// The crates that only tests load.
    pub(crate) fn fixtures(&self) -> PathBuf {
        self.root.join("host/testkit/fixtures")
    }

    /// Where the tests find their plugins.
    pub(crate) fn guests(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// The SDK for TypeScript.
    pub(crate) fn sdk_js(&self) -> PathBuf {
        self.root.join("sdk/js")
    }

    /// Clients by others: `go-due` and `npm-ws`.
    pub(crate) fn peer(&self, name: &str) -> PathBuf {
        self.root.join("host/testkit/peers").join(name)
    }

    /// The Autobahn test suite, if it is installed.
    pub(crate) fn autobahn(&self) -> PathBuf {
        self.target.join("autobahn/env/bin/wstest")
    }

    /// The server of a profile, `debug` or `release`.
    pub(crate) fn server(&self, profile: &str) -> PathBuf {
        self.target.join(profile).join(format!("duet{}", env::consts::EXE_SUFFIX))
    }

    /// An example of a crate, built with a profile.
    pub(crate) fn example(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// A path as people write it: from the top of the repository, if it is in there.
    pub(crate) fn short<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// The folders in `parent` that have a file `marker`, by name.
pub(crate) fn folders_with(parent: &Path, marker: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = parent.read_dir().with_context(|| format!("reading {}", parent.display()))?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.join(marker).is_file()).collect();
    found.sort();
    Ok(found)
}
