//! Plugins in Rust: built as components and put where they are loaded from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::place::{Place, folders_with};
use crate::process::{cargo, run};
use crate::toolchain::GUEST_TARGET;

/// A plugin and the component made of it.
#[derive(Debug)]
pub(crate) struct Guest {
    /// The name of its folder; its crate is `duet-NAME`.
    pub(crate) name: String,
    /// What cargo made of it.
    pub(crate) component: PathBuf,
}

/// Builds every crate in the folder `parent`.
pub(crate) fn build(place: &Place, parents: &[PathBuf]) -> anyhow::Result<Vec<Guest>> {
    let mut guests = Vec::new();
    let mut command = cargo(&place.root);
    command.args(["build", "--release", "--target", GUEST_TARGET]);
    for parent in parents {
        for folder in folders_with(parent, "Cargo.toml")? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            command.args(["--package", &format!("duet-{name}")]);
            let file = format!("duet_{}.wasm", name.replace('-', "_"));
            guests.push(Guest { name, component: place.target.join(GUEST_TARGET).join("release").join(file) });
        }
    }
    run(&mut command)?;
    Ok(guests)
}

/// Copies a component to `folder/NAME.wasm`, at once and only if it differs: a running server sees either the old file or the new one.
pub(crate) fn put(place: &Place, component: &Path, folder: &Path, name: &str) -> anyhow::Result<()> {
    let new = fs::read(component).with_context(|| format!("reading {}", component.display()))?;
    let goal = folder.join(format!("{name}.wasm"));
    if fs::read(&goal).is_ok_and(|old| old == new) {
        println!("{} is up to date", place.short(&goal).display());
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let part = folder.join(format!(".{name}.wasm.part"));
    fs::write(&part, &new).with_context(|| format!("writing {}", part.display()))?;
    fs::rename(&part, &goal).with_context(|| format!("writing {}", goal.display()))?;
    println!("{} is new: {} KiB", place.short(&goal).display(), new.len() / 1024);
    Ok(())
}
