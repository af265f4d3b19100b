//! `cargo xtask run`: from a fresh clone to a running server.

use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::place::Place;
use crate::plugins;
use crate::process;

/// Builds plugins and server, then becomes the server.
pub(crate) fn run(place: &Place, release: bool, arguments: &[String]) -> anyhow::Result<ExitCode> {
    plugins::build_rust(place)?;
    let mut build = process::cargo(&place.root);
    build.args(["build", "--package", "duet"]);
    if release {
        build.arg("--release");
    }
    process::run(&mut build)?;
    let server = place.server(if release { "release" } else { "debug" });
    let mut command = Command::new(&server);
    command.current_dir(&place.root).arg("run").args(arguments);
    println!("$ {} run {}", place.short(&server).display(), arguments.join(" "));
    replace(&mut command).with_context(|| format!("starting {}", server.display()))
}

/// The server takes the place of this process, so that every signal is its own.
#[cfg(unix)]
fn replace(command: &mut Command) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn replace(command: &mut Command) -> anyhow::Result<ExitCode> {
    let code = command.status()?.code().and_then(|c| u8::try_from(c).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
