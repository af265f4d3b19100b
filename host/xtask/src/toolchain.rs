//! The Rust toolchain: the target of plugins and the components of the tests.

use std::path::Path;

use anyhow::{Context, bail};

use crate::place::Place;
use crate::process::{self, program, read, run};

/// What plugins are compiled to.
pub(crate) const GUEST_TARGET: &str = "wasm32-wasip2";

/// Adds the target of plugins if it is missing; without `install` its absence is an error.
pub(crate) fn need_target(place: &Place, install: bool) -> anyhow::Result<()> {
    let library = read(program("rustc", &place.root).args(["--print", "target-libdir", "--target", GUEST_TARGET]))?;
    if Path::new(library.trim()).is_dir() {
        return Ok(());
    }
    if !install {
        bail!("the Rust target {GUEST_TARGET} is missing: `rustup target add {GUEST_TARGET}`");
    }
    println!("The Rust target {GUEST_TARGET} is missing; adding it.");
    run(program("rustup", &place.root).args(["target", "add", GUEST_TARGET]))
        .with_context(|| format!("plugins need the Rust target {GUEST_TARGET}, which rustup adds (https://rustup.rs)"))
}

/// Adds a component of the toolchain if its cargo command (`fmt`, `clippy`) does not work; without `install` its absence is an error.
pub(crate) fn need_component(place: &Place, command: &str, component: &str, install: bool) -> anyhow::Result<()> {
    if read(process::cargo(&place.root).args([command, "--version"])).is_ok() {
        return Ok(());
    }
    if !install {
        bail!("{component} is missing: `rustup component add {component}`");
    }
    println!("{component} is missing; adding it.");
    run(program("rustup", &place.root).args(["component", "add", component]))
}
