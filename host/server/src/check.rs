//! `duet check`: whether a file would load; and the child process that compiles.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use duet_client::Shown;
use duet_gateway::Sessions;
use duet_runtime::{CompileLimits, Loaded, Loader, compile_here};

use crate::cli::{CheckArguments, CompileArguments};
use crate::settings::{PluginSettings, Settings};
use crate::{drop_folder, output, wiring};

/// Loads, starts and ends a file as the server would, short of serving it, and says all that is wrong with it.
pub(crate) fn check(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let settings = match Settings::load(arguments.config.as_deref()) {
        Ok(settings) => settings,
        Err(mistakes) => {
            output::complain(mistakes);
            return Ok(ExitCode::FAILURE);
        }
    };
    let file = &arguments.file;
    let (own, mut problems) = match drop_folder::own_settings(&settings, file) {
        Ok(own) => (own, Vec::new()),
        // The file itself may be wrong as well: it is checked with whatever settings there are.
        Err(mistakes) => (settings.for_plugin(&file.file_stem().unwrap_or_default().to_string_lossy()), vec![mistakes.to_string()]),
    };
    let loader = Loader::new(Arc::new(wiring::runtime(&settings)?), Arc::<Sessions>::default())?;
    let checked = loader.check(file, own.options.clone());
    if let Err(error) = &checked {
        problems.extend(error.reasons().iter().map(|reason| format!("{}: {reason}", Shown(&file.to_string_lossy()))));
    }
    match checked {
        Ok(loaded) if problems.is_empty() => {
            output::print(report(&settings, file, &own, &loaded))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            output::complain(problems.join("\n"));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The report on a file that loads.
fn report(settings: &Settings, file: &Path, own: &PluginSettings, loaded: &Loaded) -> String {
    let routes: Vec<String> = loaded.manifest.routes().iter().map(|r| r.route.to_string()).collect();
    let calls = if loaded.batch { "packed batches" } else { "one message a call" };
    let mut warnings = drop_folder::warnings(settings, own, loaded);
    warnings.extend(loaded.ends_badly.as_ref().map(|why| format!("an instance does not end in good order: {why}")));
    if file.extension().is_none_or(|e| e != "wasm") {
        warnings.push("its name does not end with `.wasm`, so the server ignores it".to_owned());
    }
    if !own.load.enabled {
        warnings.push("it is switched off by its settings, so the server ignores it".to_owned());
    }
    let lines = [
        format!("{}: loads", Shown(&file.to_string_lossy())),
        format!("plugin   {} {}", Shown(&loaded.manifest.name), Shown(&loaded.manifest.version)),
        format!("routes   {}", routes.join(" ")),
        format!("called   with {calls}{}", if loaded.waits() { ", in the asynchronous lane" } else { "" }),
        format!("loaded   in {:.1?}, {}", loaded.time, if loaded.cached { "from the cache" } else { "compiled" }),
    ];
    lines.into_iter().chain(warnings.iter().map(|warning| format!("warning  {warning}"))).collect::<Vec<_>>().join("\n")
}

/// Compiles one plugin and nothing else. The last line on stderr is the reason for the parent.
pub(crate) fn compile(arguments: &CompileArguments) -> anyhow::Result<ExitCode> {
    let limits = CompileLimits { time: Duration::from_secs(arguments.seconds), memory_bytes: arguments.memory_bytes };
    compile_here(limits).map_err(|reason| anyhow!(reason))?;
    Ok(ExitCode::SUCCESS)
}
