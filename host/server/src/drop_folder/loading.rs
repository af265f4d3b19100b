//! Loads files of the folder, side by side.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

use duet_config::Mistakes;
use duet_core::Mutex;
use duet_runtime::{Loaded, Runtime};

use crate::settings::{PluginSettings, Settings};
use crate::{panics, reach, wiring};

/// What became of one file.
pub(super) enum Outcome {
    /// With the settings it is to be served with.
    Loaded(Box<(Loaded, PluginSettings)>),
    /// Why; the log says it, too.
    Refused(String),
    SwitchedOff,
    /// The process is stopping.
    GivenUp,
}

/// The number of a file, and what became of it.
pub(super) type Report = (usize, Outcome);

/// Threads that load the files. Compiling happens in child processes, so a thread may be busy for as long as that is allowed to take.
pub(super) fn start(runtime: &Arc<Runtime>, settings: &Arc<Settings>, files: &[PathBuf]) -> Receiver<Report> {
    let (done, outcomes) = sync_channel(files.len().max(1));
    let queue: Arc<Mutex<VecDeque<(usize, PathBuf)>>> = Arc::new(Mutex::new(files.iter().cloned().enumerate().collect()));
    for _ in 0..files.len().min(wiring::threads(0)) {
        let (queue, done) = (Arc::clone(&queue), done.clone());
        let (runtime, settings) = (Arc::clone(runtime), Arc::clone(settings));
        std::thread::spawn(move || load_all(&queue, &done, &runtime, &settings));
    }
    outcomes
}

/// What became of so many files until then, each in its place. The rest is still to come.
pub(super) fn collect(outcomes: &Receiver<Report>, files: usize, until: Option<Instant>) -> Vec<Option<Outcome>> {
    let mut reports: Vec<Option<Outcome>> = (0..files).map(|_| None).collect();
    while reports.iter().any(Option::is_none) {
        let report = match until {
            Some(until) => outcomes.recv_timeout(until.saturating_duration_since(Instant::now())),
            None => outcomes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let Ok((number, outcome)) = report else { break };
        if let Some(place) = reports.get_mut(number) {
            *place = Some(outcome);
        }
    }
    reports
}

fn load_all(queue: &Mutex<VecDeque<(usize, PathBuf)>>, done: &SyncSender<Report>, runtime: &Runtime, settings: &Settings) {
    loop {
        let next = queue.lock().pop_front();
        let Some((number, file)) = next else { return };
        // Every file gets an outcome: otherwise the server would wait for it.
        let panicked = || Outcome::Refused("the host panicked while it was loaded; the log says where".to_owned());
        let outcome = panics::survive("loading a plugin", || load(runtime, settings, &file)).unwrap_or_else(panicked);
        if done.send((number, outcome)).is_err() {
            return;
        }
    }
}

fn load(runtime: &Runtime, settings: &Settings, file: &Path) -> Outcome {
    let own = match own_settings(settings, file) {
        Ok(own) => own,
        Err(mistakes) => {
            tracing::error!("plugin refused: {}: its settings are wrong", file.display());
            for mistake in mistakes.to_string().lines() {
                tracing::error!("{mistake}");
            }
            return Outcome::Refused(format!("its settings are wrong: {mistakes}"));
        }
    };
    if !own.load.enabled {
        tracing::info!("{}: switched off by its settings", file.display());
        return Outcome::SwitchedOff;
    }
    match runtime.loader().load(file, own.options.clone()) {
        Ok(loaded) => {
            for warning in warnings(settings, &own, &loaded) {
                tracing::warn!("{}: {warning}", file.display());
            }
            Outcome::Loaded(Box::new((loaded, own)))
        }
        // That is not the fault of the file.
        Err(_) if runtime.loader().is_stopped() => Outcome::GivenUp,
        Err(error) => {
            tracing::error!("plugin refused: {error}");
            Outcome::Refused(error.to_string())
        }
    }
}

/// What is probably a mistake in a plugin or its settings, though it is served.
pub(crate) fn warnings(settings: &Settings, own: &PluginSettings, loaded: &Loaded) -> Vec<String> {
    let mut warnings = loaded.manifest.warnings();
    warnings.extend(own.warnings(loaded.waits()));
    warnings.extend(reach::warnings(settings, &loaded.manifest.routes()));
    warnings
}

/// The settings of a plugin: its table in the host's file, overridden by the file beside it.
///
/// # Errors
/// Every mistake in the file beside it.
pub(crate) fn own_settings(settings: &Settings, file: &Path) -> Result<PluginSettings, Mistakes> {
    let own = settings.for_plugin(&file.file_stem().unwrap_or_default().to_string_lossy());
    let beside = file.with_extension("toml");
    // A link that leads nowhere is there as well, and somebody meant something by it.
    if beside.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(own);
    }
    PluginSettings::from_file(&beside, &own)
}
