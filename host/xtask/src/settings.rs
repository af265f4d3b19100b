//! `cargo xtask settings`: writes what documents the settings from what the crates declare.

use std::process::ExitCode;

use crate::place::Place;
use crate::process::{cargo, run};

/// Tells the test that compares these files to write them instead.
const WRITE: &str = "DUET_WRITE_SETTINGS";

/// Writes `duet.example.toml` and the tables of the manual.
pub(crate) fn write(place: &Place) -> anyhow::Result<ExitCode> {
    run(cargo(&place.root).args(["test", "--package", "duet", "--bin", "duet", "--", "settings::tests::documented"]).env(WRITE, "1"))?;
    Ok(ExitCode::SUCCESS)
}
