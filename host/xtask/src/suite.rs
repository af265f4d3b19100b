//! `cargo xtask suite`: tests at full size, one area at a time, with a table of what was tried.

mod tools;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::place::Place;
use crate::process::{cargo, run};
use crate::test::build_guests;

/// Tests of the server at full size.
struct Suite {
    name: &'static str,
    /// How the names of its tests begin.
    filter: &'static str,
    /// What the filter would also match, because it matches anywhere in a name.
    skip: Option<&'static str>,
    /// With full optimisation, because its rates matter.
    release: bool,
}

const SUITES: [Suite; 2] = [
    Suite { name: "edge", filter: "edge::", skip: None, release: false },
    Suite { name: "load", filter: "load::", skip: Some("edge::"), release: true },
];

/// Runs a suite and prints its table. `quick` is the size of `cargo xtask test`.
pub(crate) fn suite(place: &Place, name: &str, quick: bool) -> anyhow::Result<ExitCode> {
    let Some(Suite { filter, skip, release, .. }) = SUITES.iter().find(|suite| suite.name == name) else {
        let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        bail!("there is no suite `{name}`, only {}", known.join(", "));
    };
    let folder = place.target.join("suite");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let report = folder.join(format!("{name}.txt"));
    fs::write(&report, "").with_context(|| format!("writing {}", report.display()))?;
    build_guests(place, true)?;
    let skipped = if name == "edge" { tools::install(place, quick) } else { Vec::new() };

    let mut tests = cargo(&place.root);
    // One at a time, so that each has the machine to itself and its figures are its own.
    tests.args(["test", "--package", "duet", "--test", "it", "--no-fail-fast"]);
    tests.args(release.then_some("--release")).args(["--", filter, "--test-threads=1", "--nocapture"]);
    tests.args(skip.iter().flat_map(|skip| ["--skip", skip]));
    tests.env("DUET_GUESTS", place.guests()).env("DUET_REPORT", &report).env("DUET_SUITE", if quick { "quick" } else { "full" });
    let outcome = run(&mut tests);

    let text = fs::read_to_string(&report).with_context(|| format!("reading {}", report.display()))?;
    println!("\n== suite {name}, {} size", if quick { "quick" } else { "full" });
    print!("{}", table(&text));
    for why in skipped {
        println!("SKIPPED {why}");
    }
    match outcome {
        Ok(()) => println!("passed; the same lines are in {}", place.short(&report).display()),
        Err(error) => {
            println!("FAILED: {error:#}");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Lines `name: numbers` as two columns.
fn table(text: &str) -> String {
    let rows: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(": ").unwrap_or((line, ""))).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    rows.iter().map(|(name, numbers)| format!("{name:width$}  {numbers}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn names_and_numbers_are_columns() {
        assert_eq!(table("a: 1, b: 2\nlonger: 3\nalone\n"), "a       1, b: 2\nlonger  3\nalone   \n");
    }
}
