//! The steps of a test run: each is timed, and all outcomes are reported at the end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What has run so far.
#[derive(Debug, Default)]
pub(super) struct Steps {
    done: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    outcome: Outcome,
    time: Duration,
}

#[derive(Debug)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Steps {
    /// Runs a step; returns whether it passed.
    pub(super) fn step(&mut self, name: &'static str, work: impl FnOnce() -> anyhow::Result<()>) -> bool {
        println!("\n== {name}");
        let begun = Instant::now();
        let outcome = work().map_or_else(|error| Outcome::Failed(format!("{error:#}")), |()| Outcome::Passed);
        self.add(name, outcome, begun.elapsed())
    }

    /// A step that cannot run because of one that failed.
    pub(super) fn fail(&mut self, name: &'static str, why: &str) {
        self.add(name, Outcome::Failed(why.to_owned()), Duration::ZERO);
    }

    /// A step that cannot run here.
    pub(super) fn skip(&mut self, name: &'static str, why: &str) {
        self.add(name, Outcome::Skipped(why.to_owned()), Duration::ZERO);
    }

    fn add(&mut self, name: &'static str, outcome: Outcome, time: Duration) -> bool {
        let step = Step { name, outcome, time };
        println!("== {}", step.line());
        let passed = matches!(step.outcome, Outcome::Passed);
        self.done.push(step);
        passed
    }

    /// Prints all outcomes, the skipped and the failed ones last, and the counts in the last line.
    pub(super) fn report(&self) -> ExitCode {
        println!("\n== all steps");
        for step in self.with(|o| matches!(o, Outcome::Passed)).chain(self.with(|o| matches!(o, Outcome::Skipped(_)))) {
            println!("{}", step.line());
        }
        for step in self.with(|o| matches!(o, Outcome::Failed(_))) {
            println!("{}", step.line());
        }
        let failed = self.with(|o| matches!(o, Outcome::Failed(_))).count();
        let skipped = self.with(|o| matches!(o, Outcome::Skipped(_))).count();
        println!("{} passed, {failed} failed, {skipped} skipped", self.done.len() - failed - skipped);
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn with(&self, wanted: impl Fn(&Outcome) -> bool) -> impl Iterator<Item = &Step> {
        self.done.iter().filter(move |step| wanted(&step.outcome))
    }
}

impl Step {
    fn line(&self) -> String {
        let (name, seconds) = (self.name, self.time.as_secs_f64());
        match &self.outcome {
            Outcome::Passed => format!("passed  {name} ({seconds:.1} s)"),
            Outcome::Failed(why) => format!("FAILED  {name} ({seconds:.1} s): {why}"),
            Outcome::Skipped(why) => format!("SKIPPED {name}: {why}"),
        }
    }
}
