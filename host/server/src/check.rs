//! `duet check`: whether a file would load; and the child process that compiles.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use duet_client::Shown;
use duet_gateway::Connections;
use duet_runtime::{CompileLimits, Loader, compile_here};

use crate::cli::{CheckArguments, CompileArguments};
use crate::settings::Settings;
use crate::{output, wiring};

/// Loads a file as the server would, short of serving it.
pub(crate) fn check(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let settings = match Settings::load(arguments.config.as_deref()) {
        Ok(settings) => settings,
        Err(mistakes) => {
            output::complain(mistakes);
            return Ok(ExitCode::FAILURE);
        }
    };
    let name = arguments.file.file_stem().unwrap_or_default().to_string_lossy();
    let options = wiring::plugin(&settings.for_plugin(&name));
    match Loader::new(Arc::new(wiring::runtime(&settings)?), Arc::<Connections>::default())?.load(&arguments.file, options) {
        Ok(loaded) => {
            let routes: Vec<String> = loaded.manifest.routes().iter().map(|r| r.route.to_string()).collect();
            let calls = if loaded.batch { "packed batches" } else { "one message a call" };
            let lane = if loaded.waits() { ", in the asynchronous lane" } else { "" };
            let from = if loaded.cached { "from the cache" } else { "compiled" };
            output::print(format_args!("{}: loads", Shown(&arguments.file.to_string_lossy())))?;
            output::print(format_args!("plugin   {} {}", Shown(&loaded.manifest.name), Shown(&loaded.manifest.version)))?;
            output::print(format_args!("routes   {}", routes.join(" ")))?;
            output::print(format_args!("called   with {calls}{lane}"))?;
            output::print(format_args!("loaded   in {:.1?}, {from}", loaded.time))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            output::complain(error);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Compiles one plugin and nothing else. The last line on stderr is the reason for the parent.
pub(crate) fn compile(arguments: &CompileArguments) -> anyhow::Result<ExitCode> {
    let limits = CompileLimits { time: Duration::from_secs(arguments.seconds), memory_bytes: arguments.memory_bytes };
    compile_here(limits).map_err(|reason| anyhow!(reason))?;
    Ok(ExitCode::SUCCESS)
}
