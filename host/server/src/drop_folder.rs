//! The drop folder: finds plugin files, loads them side by side, and serves them in the order of their names.

mod misses;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use duet_config::Mistakes;
use duet_core::Mutex;
use duet_runtime::{Loaded, Runtime};

use crate::settings::{PluginSettings, Settings};
use crate::{panics, reach, wiring};

/// A serving plugin, for the banner.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) routes: Vec<i32>,
    pub(crate) cached: bool,
    pub(crate) time: Duration,
}

/// What became of the folder by the time the ports open.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    pub(crate) served: Vec<Served>,
    pub(crate) refused: usize,
    /// Files that still compile; they are served when they are done.
    pub(crate) pending: Vec<PathBuf>,
}

/// What became of one file.
enum Outcome {
    Loaded(Box<Loaded>),
    /// The log says why.
    Refused,
    SwitchedOff,
}

/// The number of a file, and what became of it.
type Report = (usize, Outcome);

/// Loads everything in the folder. What takes longer than `start_wait` goes on in the background.
pub(crate) fn load(runtime: &Arc<Runtime>, settings: &Arc<Settings>) -> Folder {
    let files = find(settings);
    let outcomes = start_loaders(runtime, settings, &files);
    let deadline = Instant::now() + settings.start.start_wait;
    let mut reports: Vec<Option<Outcome>> = files.iter().map(|_| None).collect();
    while reports.iter().any(Option::is_none) {
        match outcomes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((number, outcome)) => {
                if let Some(place) = reports.get_mut(number) {
                    *place = Some(outcome);
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    let mut folder = Folder::default();
    for (outcome, file) in reports.into_iter().zip(files) {
        match outcome {
            None => folder.pending.push(file),
            Some(Outcome::SwitchedOff) => {}
            Some(Outcome::Refused) => folder.refused += 1,
            Some(Outcome::Loaded(loaded)) => match serve(runtime, *loaded) {
                Some(served) => folder.served.push(served),
                None => folder.refused += 1,
            },
        }
    }
    if !folder.pending.is_empty() {
        let runtime = Arc::clone(runtime);
        runtime.expect_more(true);
        std::thread::spawn(move || {
            for (_, outcome) in outcomes {
                if runtime.loader().is_stopped() {
                    return;
                }
                panics::survive("serving a plugin", || serve_late(&runtime, outcome));
            }
            // Each of them serves or was refused: what is unknown now stays unknown.
            runtime.expect_more(false);
        });
    }
    folder
}

/// Serves a plugin whose file was still compiling when the ports opened.
fn serve_late(runtime: &Runtime, outcome: Outcome) {
    if let Outcome::Loaded(loaded) = outcome
        && let Some(served) = serve(runtime, *loaded)
    {
        tracing::info!(plugin = served.name, version = served.version, routes = ?served.routes, time = ?served.time, "plugin serves");
    }
}

fn serve(runtime: &Runtime, loaded: Loaded) -> Option<Served> {
    let served = Served {
        name: loaded.name.clone(),
        version: loaded.manifest.version.clone(),
        routes: loaded.manifest.routes().iter().map(|r| r.route.0).collect(),
        cached: loaded.cached,
        time: loaded.time,
    };
    match runtime.serve(loaded) {
        Ok(()) => return Some(served),
        // The process is ending; that is not the fault of the file.
        Err(_) if runtime.loader().is_stopped() => {}
        Err(error) => tracing::error!("plugin refused: {error}"),
    }
    None
}

/// The files that claim to be plugins, by name. Warns of files that are meant for something and are of no use.
fn find(settings: &Settings) -> Vec<PathBuf> {
    let folder = &settings.process.plugins;
    let mut entries: Vec<PathBuf> = Vec::new();
    match std::fs::read_dir(folder).and_then(|listed| listed.map(|entry| Ok(entry?.path())).collect()) {
        Ok(listed) => entries = listed,
        // An operator who starts the server in a wrong folder has to see which one it is.
        Err(error) => tracing::warn!("{}: {error}; no plugins are loaded", misses::absolute(folder)),
    }
    entries.sort();
    for miss in misses::find(folder, &entries, settings.plugin.keys()) {
        tracing::warn!("{miss}");
    }
    entries.retain(|path| misses::is_plugin(path));
    entries
}

/// Threads that load the files. Compiling happens in child processes, so a thread may be busy for as long as that is allowed to take.
fn start_loaders(runtime: &Arc<Runtime>, settings: &Arc<Settings>, files: &[PathBuf]) -> Receiver<Report> {
    let (done, outcomes) = sync_channel(files.len().max(1));
    let queue: Arc<Mutex<VecDeque<(usize, PathBuf)>>> = Arc::new(Mutex::new(files.iter().cloned().enumerate().collect()));
    for _ in 0..files.len().min(wiring::threads(0)) {
        let (queue, done) = (Arc::clone(&queue), done.clone());
        let (runtime, settings) = (Arc::clone(runtime), Arc::clone(settings));
        std::thread::spawn(move || load_all(&queue, &done, &runtime, &settings));
    }
    outcomes
}

fn load_all(queue: &Mutex<VecDeque<(usize, PathBuf)>>, done: &SyncSender<Report>, runtime: &Runtime, settings: &Settings) {
    loop {
        let next = queue.lock().pop_front();
        let Some((number, file)) = next else { return };
        // Every file gets an outcome: otherwise the server would wait for it.
        let outcome = panics::survive("loading a plugin", || load_one(runtime, settings, &file)).unwrap_or(Outcome::Refused);
        if done.send((number, outcome)).is_err() {
            return;
        }
    }
}

fn load_one(runtime: &Runtime, settings: &Settings, file: &Path) -> Outcome {
    let own = match own_settings(settings, file) {
        Ok(own) => own,
        Err(mistakes) => {
            tracing::error!("plugin refused: {}: its settings are wrong", file.display());
            for mistake in mistakes.to_string().lines() {
                tracing::error!("{mistake}");
            }
            return Outcome::Refused;
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
            Outcome::Loaded(Box::new(loaded))
        }
        // The process is ending; that is not the fault of the file.
        Err(_) if runtime.loader().is_stopped() => Outcome::Refused,
        Err(error) => {
            tracing::error!("plugin refused: {error}");
            Outcome::Refused
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

/// The settings of a plugin: its table in the host's file, overridden by the file next to it.
///
/// # Errors
/// Every mistake in the file next to the plugin.
pub(crate) fn own_settings(settings: &Settings, file: &Path) -> Result<PluginSettings, Mistakes> {
    let own = settings.for_plugin(&file.file_stem().unwrap_or_default().to_string_lossy());
    let beside = file.with_extension("toml");
    // A link that leads nowhere is there as well, and somebody meant something by it.
    if beside.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(own);
    }
    PluginSettings::from_file(&beside, &own)
}
