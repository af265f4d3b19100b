//! `cargo xtask plugins`: every plugin of the repository, built into the drop folder.

use std::process::ExitCode;

use crate::guests;
use crate::npm;
use crate::place::Place;
use crate::toolchain;

/// Builds those in Rust, and those in TypeScript if Node is there.
pub(crate) fn build(place: &Place) -> anyhow::Result<ExitCode> {
    build_rust(place)?;
    if let Err(why) = npm::check(place) {
        println!("SKIPPED plugins in TypeScript: {why:#}");
        return Ok(ExitCode::SUCCESS);
    }
    npm::sdk(place)?;
    for folder in npm::plugins(place)? {
        npm::modules(&folder, true)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        guests::put(place, &npm::build(&folder)?, &place.plugins(), &name)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds those in Rust.
pub(crate) fn build_rust(place: &Place) -> anyhow::Result<()> {
    toolchain::need_target(place, true)?;
    for guest in guests::build(place, &[place.plugins()])? {
        guests::put(place, &guest.component, &place.plugins(), &guest.name)?;
    }
    Ok(())
}
