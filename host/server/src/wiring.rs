//! From settings to the options of each crate.

mod gateway;

use anyhow::Context;
use duet_runtime::{CompileMode, RuntimeOptions};

pub(crate) use self::gateway::{gateway, listener};
use crate::settings::Settings;

/// Number of threads that `0` stands for.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}

pub(crate) fn runtime(settings: &Settings) -> anyhow::Result<RuntimeOptions> {
    let limits = settings.runtime.compile_limits;
    let seconds = limits.time.as_secs().max(1).to_string();
    let memory = limits.memory_bytes.to_string();
    Ok(RuntimeOptions {
        compile: CompileMode::Child {
            program: std::env::current_exe().context("finding this program, which compiles plugins in a child process")?,
            arguments: ["compile", "--seconds", &seconds, "--memory-bytes", &memory].map(str::to_owned).to_vec(),
        },
        ..settings.runtime.clone()
    })
}
