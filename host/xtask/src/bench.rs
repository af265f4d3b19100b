//! `cargo xtask bench`: the server beside a bare echo, in one run on one machine.

mod memory;
mod peers;
mod sample;
mod server;
mod start_up;
mod table;

use std::process::ExitCode;

use crate::place::Place;
use crate::process::{cargo, run};
use crate::toolchain;
use peers::Bench;
use sample::{LOADS, Load};
use table::Table;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Each figure is the median of so many.
    rounds: usize,
    /// Measured time of one figure, after a fifth of it to warm up.
    seconds: u32,
    /// How long idle connections are held: longer than a heartbeat interval, so that each has been used.
    idle_seconds: u32,
}

const FULL: Effort = Effort { rounds: 3, seconds: 5, idle_seconds: 15 };
const QUICK: Effort = Effort { rounds: 1, seconds: 2, idle_seconds: 12 };

/// Builds, measures, and prints one table.
pub(crate) fn bench(place: &Place, quick: bool) -> anyhow::Result<ExitCode> {
    let effort = if quick { QUICK } else { FULL };
    toolchain::need_target(place, true)?;
    run(cargo(&place.root).args(["build", "--release", "--package", "duet"]))?;
    let bench = Bench::prepare(place)?;
    let mut table = Table::default();
    for load in &LOADS {
        measure(&bench, load, effort, &mut table)?;
    }
    memory::measure(&bench, effort, &mut table)?;
    start_up::measure(&bench, effort, &mut table)?;
    println!("\n{table}");
    call_benchmarks(place, quick)?;
    Ok(if table.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One load on each peer in turn, round after round, each time on a fresh server.
fn measure(bench: &Bench<'_>, load: &Load, effort: Effort, table: &mut Table) -> anyhow::Result<()> {
    for round in 1..=effort.rounds {
        for peer in bench.peers() {
            println!("{}, {peer}, round {round} of {}", load.name, effort.rounds);
            let server = bench.start(peer)?;
            let sample = load.run(bench, &server, peer, effort.seconds)?;
            if let Some(trouble) = sample.trouble() {
                table.trouble(format!("{}, {peer}: {trouble}", load.name));
            }
            for figure in load.figures {
                table.add(&format!("{} {}", load.name, figure.name), figure.unit, peer, sample.number(figure.key)? * figure.scale);
            }
        }
    }
    Ok(())
}

/// What a call into a plugin costs without sockets, if there are such benchmarks.
fn call_benchmarks(place: &Place, quick: bool) -> anyhow::Result<()> {
    if !place.root.join("host/runtime/benches").is_dir() {
        println!("SKIPPED plugin calls: there are no benchmarks in host/runtime/benches");
        return Ok(());
    }
    let mut command = cargo(&place.root);
    command.args(["bench", "--package", "duet-runtime", "--bench", "*"]);
    if quick {
        command.args(["--", "--quick"]);
    }
    run(&mut command)
}
