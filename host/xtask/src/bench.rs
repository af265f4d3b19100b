//! `cargo xtask bench`: the server next to a bare echo and due, in one run on one machine.

mod due;
mod effort;
mod idle;
mod peers;
mod sample;
mod server;
mod start_up;
mod table;

use std::process::ExitCode;

use anyhow::bail;

use crate::place::Place;
use crate::process::{cargo, run};
use crate::toolchain;
use effort::Effort;
use idle::IDLES;
use peers::Bench;
use sample::{LOADS, Load};
use table::Table;

/// Names of the figures that are not loads.
const START_UP: &str = "start-up";
const CALLS: &str = "plugin calls";

/// What is measured, and how much.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    quick: bool,
    /// Only what has this in its name.
    only: Option<&'a str>,
}

impl<'a> Plan<'a> {
    /// From `[--quick] [--only WORD]`.
    pub(crate) fn parse(flags: &[&'a str]) -> anyhow::Result<Self> {
        let mut plan = Self { quick: false, only: None };
        let mut flags = flags.iter();
        while let Some(flag) = flags.next() {
            match (*flag, flags.as_slice().first()) {
                ("--quick", _) => plan.quick = true,
                ("--only", Some(word)) => {
                    plan.only = Some(word);
                    flags.next();
                }
                _ => bail!("`{flag}` is not understood; there are --quick and --only WORD"),
            }
        }
        if !names().any(|name| plan.wants(name)) {
            bail!("nothing has `{}` in its name; there are: {}", plan.only.unwrap_or_default(), names().collect::<Vec<_>>().join(", "));
        }
        Ok(plan)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_none_or(|word| name.contains(word))
    }
}

/// The names of all that can be measured.
fn names() -> impl Iterator<Item = &'static str> {
    LOADS.iter().map(|load| load.name).chain(IDLES.iter().map(|idle| idle.name)).chain([START_UP, CALLS])
}

/// Builds, measures, and prints one table.
pub(crate) fn bench(place: &Place, plan: &Plan<'_>) -> anyhow::Result<ExitCode> {
    let effort = if plan.quick { Effort::QUICK } else { Effort::FULL };
    toolchain::need_target(place, true)?;
    let mut table = Table::default();
    if names().any(|name| name != CALLS && plan.wants(name)) {
        run(cargo(&place.root).args(["build", "--release", "--package", "duet"]))?;
        run(cargo(&place.root).args(["build", "--release", "--package", "duet-load", "--example", "bare-echo"]))?;
        let bench = Bench::prepare(place)?;
        for load in LOADS.iter().filter(|load| plan.wants(load.name)) {
            measure(&bench, load, effort, &mut table)?;
        }
        for idle in IDLES.iter().filter(|idle| plan.wants(idle.name)) {
            idle.measure(&bench, effort, &mut table)?;
        }
        if plan.wants(START_UP) {
            start_up::measure(&bench, effort, &mut table)?;
        }
        println!("\n{table}");
    }
    if plan.wants(CALLS) {
        call_benchmarks(place, plan.quick)?;
    }
    Ok(if table.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One load on each peer in turn, round after round, each time on a fresh server.
fn measure(bench: &Bench<'_>, load: &Load, effort: Effort, table: &mut Table) -> anyhow::Result<()> {
    for round in 1..=effort.rounds {
        for peer in bench.those_of(load.peers) {
            println!("{}, {peer}, round {round} of {}", load.name, effort.rounds);
            let server = bench.start(peer, load.stage, load.scheme)?;
            let sample = match load.run(bench, &server, peer, effort) {
                Ok(sample) => sample,
                Err(error) => {
                    table.trouble(format!("{}, {peer}: {error:#}", load.name));
                    continue;
                }
            };
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

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn flags_choose_how_much_and_what() {
        let plan = Plan::parse(&["--only", "kcp", "--quick"]).unwrap();
        assert!(plan.quick && plan.wants("kcp 10 x 1") && !plan.wants("start-up"));
        assert!(Plan::parse(&[]).unwrap().wants("start-up"));
        for wrong in [&["--only"][..], &["--fast"], &["--only", "no such row"]] {
            assert!(Plan::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
