//! due, if Go is there: its gate and node in one process, over servers of the shape of its own.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::place::Place;
use crate::process::{self, read};

/// How to start it.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) program: PathBuf,
    /// Where it looks for settings: an empty folder.
    pub(super) settings: PathBuf,
}

/// Builds the server.
pub(super) fn build(place: &Place) -> anyhow::Result<Due> {
    let settings = place.target.join("bench/due");
    fs::create_dir_all(&settings).with_context(|| format!("making {}", settings.display()))?;
    let program = place.target.join("bench/go-due-server");
    let mut command = process::program("go", &place.peer("go-due-server"));
    read(command.args(["build", "-o"]).arg(&program).arg(".")).context("building due's server with Go")?;
    Ok(Due { program, settings })
}
