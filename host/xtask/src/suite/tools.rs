//! Programs of others that the suites run: the Autobahn test suite and testssl.sh.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::place::Place;
use crate::process::{program, read, run};

/// The last version of the Autobahn test suite that runs on a Python 2.7, which it needs.
const AUTOBAHN: &str = "autobahntestsuite==0.8.2";
/// The last version of virtualenv for it.
const VIRTUALENV: &str = "virtualenv==20.15.1";

/// Installs what is missing and available. Returns what the tests have to do without, and why.
pub(super) fn install(place: &Place, quick: bool) -> Vec<String> {
    let mut skipped = Vec::new();
    if let Err(why) = autobahn(place) {
        skipped.push(format!("autobahn: {why:#}"));
    }
    if !quick && let Err(why) = testssl(place) {
        skipped.push(format!("testssl: {why:#}"));
    }
    skipped
}

fn autobahn(place: &Place) -> anyhow::Result<()> {
    if place.autobahn().is_file() {
        return Ok(());
    }
    let folder = place.target.join("autobahn");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let python = python(place).context("it needs a Python 2.7, as python2.7 in the path or from pyenv")?;
    run(program(&python, &folder).args(["-m", "pip", "install", "--quiet", "--target", "bootstrap", VIRTUALENV]))?;
    run(program(&python, &folder).args(["-m", "virtualenv", "--quiet", "env"]).env("PYTHONPATH", folder.join("bootstrap")))?;
    let pip = folder.join("env/bin/pip").display().to_string();
    run(program(&pip, &folder).args(["install", "--quiet", AUTOBAHN]))
}

/// A Python 2.7 that starts.
fn python(place: &Place) -> Option<String> {
    let pyenv = env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".pyenv")))?;
    let mut known = vec!["python2.7".to_owned()];
    for version in pyenv.join("versions").read_dir().into_iter().flatten().flatten() {
        if version.file_name().to_string_lossy().starts_with("2.7") {
            known.push(version.path().join("bin/python").display().to_string());
        }
    }
    known.into_iter().find(|name| program(name, &place.root).args(["-c", "pass"]).output().is_ok_and(|output| output.status.success()))
}

fn testssl(place: &Place) -> anyhow::Result<()> {
    let starts = || ["testssl", "testssl.sh"].into_iter().any(|name| program(name, &place.root).arg("--version").output().is_ok());
    if starts() {
        return Ok(());
    }
    if !read(program("id", &place.root).arg("-u")).is_ok_and(|id| id.trim() == "0") {
        bail!("testssl.sh is not installed, and only root can install it");
    }
    let mut command = program("apt-get", &place.root);
    run(command.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "-qq", "-y", "--no-install-recommends", "testssl.sh"]))?;
    if starts() { Ok(()) } else { bail!("testssl.sh was installed and does not start") }
}
