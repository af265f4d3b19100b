//! `duet`: the game server, and the tools around it, in one program.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read; see `output`")]

mod banner;
mod bench;
mod certificates;
mod check;
mod cli;
mod client;
mod console;
mod control;
mod drop_folder;
mod exposure;
mod lent;
mod logging;
mod memory;
mod open_files;
mod outlet;
mod output;
mod panic_hook;
mod panics;
mod plugin;
mod reach;
mod refusals;
mod run;
mod settings;
mod signals;
mod wiring;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::output::OutputError;

/// glibc's allocator gives memory back after every batch and takes it again for the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the end waits for somebody to read the last lines of standard error.
const LAST_LINES: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    panic_hook::handle();
    let code = command().unwrap_or_else(|error| match error.downcast_ref::<OutputError>() {
        Some(error) => error.end(),
        None => {
            output::complain(format_args!("duet: {}", whole(&error)));
            ExitCode::FAILURE
        }
    });
    outlet::flush(LAST_LINES);
    code
}

fn command() -> anyhow::Result<ExitCode> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            let printed = usage.print().map_err(OutputError::from);
            return if usage.use_stderr() { Ok(ExitCode::from(USAGE)) } else { printed.map(|()| ExitCode::SUCCESS).map_err(Into::into) };
        }
    };
    match cli.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Plugin(arguments) => plugin::plugin(&arguments),
        Command::Client(arguments) => client::client(&arguments),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::Compile(arguments) => check::compile(&arguments),
    }
}

/// What clap ends with.
const USAGE: u8 = 2;

/// An error with its causes. Many say their cause themselves; it is not said twice.
fn whole(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .reduce(|text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
        .unwrap_or_default()
}
