//! `duet`: the game server, and the tools around it, in one program.

mod banner;
mod bench;
mod certificates;
mod check;
mod cli;
mod client;
mod drop_folder;
mod exposure;
mod logging;
mod memory;
mod refusals;
mod run;
mod settings;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// glibc's allocator gives memory back after every batch and takes it again for the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Client(arguments) => client::client(&arguments),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::Compile(arguments) => check::compile(&arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("duet: {error:#}");
        ExitCode::FAILURE
    })
}
