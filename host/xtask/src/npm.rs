//! Node: whether it is there, the modules of a folder, and the plugins in TypeScript.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::place::{Place, folders_with};
use crate::process::{program, read, run};

/// The oldest Node that the SDK and the tests run on.
pub(crate) const NODE_MAJOR_MIN: u32 = 20;

/// Whether Node and npm are there and new enough.
///
/// # Errors
/// Says what is missing, for the reader of a report.
pub(crate) fn check(place: &Place) -> anyhow::Result<()> {
    let version = read(program("node", &place.root).arg("--version")).context("no Node")?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|m| m.parse::<u32>().ok());
    if major.is_none_or(|m| m < NODE_MAJOR_MIN) {
        bail!("Node {} is older than {NODE_MAJOR_MIN}", version.trim());
    }
    read(npm(&place.root).arg("--version")).context("no npm")?;
    Ok(())
}

/// npm in a folder.
pub(crate) fn npm(folder: &Path) -> Command {
    program(if cfg!(windows) { "npm.cmd" } else { "npm" }, folder)
}

/// Fetches the modules of a folder as its lock file has them, unless they are there already.
pub(crate) fn modules(folder: &Path, install: bool) -> anyhow::Result<()> {
    let changed = |path: PathBuf| path.metadata().and_then(|m| m.modified());
    let wanted = changed(folder.join("package-lock.json")).with_context(|| format!("{} has no lock file", folder.display()))?;
    // npm writes this file when it is done.
    if changed(folder.join("node_modules/.package-lock.json")).is_ok_and(|there| there >= wanted) {
        return Ok(());
    }
    if !install {
        bail!("the npm modules of {} are missing or old: `npm ci` there", folder.display());
    }
    run(npm(folder).args(["ci", "--no-audit", "--no-fund"]))
}

/// Builds the SDK from its present sources; plugins see its types only as built.
pub(crate) fn sdk(place: &Place) -> anyhow::Result<()> {
    modules(&place.sdk_js(), true)?;
    run(npm(&place.sdk_js()).args(["run", "--silent", "build"]))
}

/// The plugins in TypeScript, by name.
pub(crate) fn plugins(place: &Place) -> anyhow::Result<Vec<PathBuf>> {
    folders_with(&place.plugins(), "package.json")
}

/// The examples, by name.
pub(crate) fn examples(place: &Place) -> anyhow::Result<Vec<PathBuf>> {
    folders_with(&place.root.join("examples"), "package.json")
}

/// Builds a plugin in TypeScript and returns the component. Its modules and those of the SDK have to be there.
pub(crate) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    run(npm(folder).args(["run", "--silent", "build"]))?;
    Ok(component(folder))
}

/// Where the component of a plugin is once it is built.
pub(crate) fn component(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.join("dist").join(format!("{name}.wasm"))
}
