//! Plugins as files: builds them, or takes those that were built before.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use duet_core::Mutex;

const TARGET: &str = "wasm32-wasip2";

type Built = Mutex<HashMap<String, Arc<OnceLock<PathBuf>>>>;

/// The component of a plugin of this workspace: `echo` and `duet-echo` mean the same.
///
/// With the environment variable `DUET_GUESTS` the file is taken from that folder and nothing is built. Otherwise it is built as a
/// release, once for each process that asks.
///
/// # Panics
/// If it cannot be built, or is not in that folder.
pub fn guest(name: &str) -> PathBuf {
    static BUILT: OnceLock<Built> = OnceLock::new();
    let package = if name.starts_with("duet-") { name.to_owned() } else { format!("duet-{name}") };
    let file = format!("{}.wasm", package.replace('-', "_"));
    if let Some(folder) = std::env::var_os("DUET_GUESTS") {
        let path = std::path::absolute(Path::new(&folder).join(file)).expect("the working directory");
        assert!(path.is_file(), "{} is missing: build the plugins, or unset DUET_GUESTS", path.display());
        return path;
    }
    let place = BUILT.get_or_init(Built::default).lock().entry(package.clone()).or_default().clone();
    place.get_or_init(|| build(&package, &file)).clone()
}

fn build(package: &str, file: &str) -> PathBuf {
    let target_folder = target_folder();
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--target", TARGET, "--package", package, "--target-dir"])
        .arg(&target_folder)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "building {package} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let path = target_folder.join(TARGET).join("release").join(file);
    assert!(path.is_file(), "{package} was built, but {} is missing", path.display());
    path
}

/// Where this test was built: `TARGET/debug/deps/NAME-HASH`.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this test");
    program.ancestors().nth(3).expect("a target folder above this test").to_owned()
}
