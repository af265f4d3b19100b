//! due, if Go is there: its gate and node in one process, over servers of the shape of its own.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::place::Place;
use crate::process::{program, read};

/// Builds the server and says where it is.
pub(super) fn build(place: &Place, folder: &Path) -> anyhow::Result<PathBuf> {
    let built = folder.join("go-due-server");
    let mut command = program("go", &place.peer("go-due-server"));
    read(command.args(["build", "-o"]).arg(&built).arg(".")).context("building due's server with Go")?;
    Ok(built)
}
