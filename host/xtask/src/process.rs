//! Programs that are started: announced first, run without input, and their failure is an error.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The cargo that started this program, in a folder.
pub(crate) fn cargo(folder: &Path) -> Command {
    program(env::var("CARGO").as_deref().unwrap_or("cargo"), folder)
}

/// A program without input, in a folder.
pub(crate) fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs to the end; what the program prints goes where ours goes.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("starting {}", shown(command)))?;
    if status.success() { Ok(()) } else { bail!("`{}` ended with {status}", shown(command)) }
}

/// Runs to the end silently and returns what the program printed; the error has its last line on standard error.
pub(crate) fn read(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("starting {}", shown(command)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("it said nothing");
    bail!("`{}` ended with {}: {last}", shown(command), output.status)
}

/// A command as one types it.
fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let words = command.get_args().map(|a| a.to_string_lossy());
    std::iter::once(name.to_string_lossy()).chain(words).collect::<Vec<_>>().join(" ")
}
