//! `cargo xtask`: set-up and chores. `cargo xtask help` says what there is.

mod bench;
mod guests;
mod npm;
mod place;
mod plugins;
mod process;
mod run;
mod settings;
mod suite;
mod test;
mod toolchain;

use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::place::Place;

fn main() -> ExitCode {
    command().unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn command() -> anyhow::Result<ExitCode> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let own = arguments.iter().position(|a| a == "--").unwrap_or(arguments.len());
    let passed_on: Vec<String> = arguments.drain(own..).skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((&command, flags)) = words.split_first() else {
        print!("{}", include_str!("help.txt"));
        return Ok(ExitCode::FAILURE);
    };
    if matches!(command, "help" | "--help" | "-h") || flags.iter().any(|f| matches!(*f, "--help" | "-h")) {
        print!("{}", include_str!("help.txt"));
        return Ok(ExitCode::SUCCESS);
    }
    if command != "run" && !passed_on.is_empty() {
        bail!("only `run` passes arguments on");
    }
    let place = Place::find().context("finding the repository")?;
    match command {
        "run" => run::run(&place, flag(flags, "--release")?, &passed_on),
        "plugins" => none(flags).and_then(|()| plugins::build(&place)),
        "test" => test::test(&place, !flag(flags, "--no-install")?),
        "ci" => none(flags).and_then(|()| test::test(&place, true)),
        "suite" => match flags {
            [] => bail!("which suite? `cargo xtask help` names them"),
            [name, flags @ ..] => suite::suite(&place, name, flag(flags, "--quick")?),
        },
        "settings" => none(flags).and_then(|()| settings::write(&place)),
        "bench" => bench::bench(&place, &bench::Plan::parse(flags)?),
        other => bail!("there is no `{other}`; `cargo xtask help` says what there is"),
    }
}

/// Whether the only flag that a command knows is given.
fn flag(given: &[&str], known: &str) -> anyhow::Result<bool> {
    match given {
        [] => Ok(false),
        [one] if *one == known => Ok(true),
        _ => bail!("`{}` is not understood; there is only {known}", given.join(" ")),
    }
}

fn none(given: &[&str]) -> anyhow::Result<()> {
    if given.is_empty() { Ok(()) } else { bail!("`{}` is not understood", given.join(" ")) }
}
