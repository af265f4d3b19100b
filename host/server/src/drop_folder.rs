//! The drop folder: finds plugin files, loads them side by side, serves them in the order of their names, and follows what changes there.

mod alarm;
mod listing;
mod loading;
mod misses;
mod rounds;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use duet_config::Mistakes;
use duet_core::Mutex;
use duet_runtime::{Loaded, Runtime};

use self::alarm::Alarm;
pub(crate) use self::alarm::Bell;
use self::listing::Listing;
use self::loading::{Outcome, Report};
pub(crate) use self::loading::{own_settings, warnings};
use self::rounds::Round;
use self::watch::{Follow, Watch};
use crate::lent::Lender;
use crate::panics;
use crate::settings::{PluginSettings, Settings};

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

/// A file that is not served as it is.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) at: SystemTime,
    pub(crate) why: String,
}

/// What became of the files of plugins, by name.
#[derive(Debug, Default)]
struct Book {
    /// The settings that each was served with last.
    served_with: BTreeMap<String, PluginSettings>,
    refused: BTreeMap<String, Refused>,
}

/// The folder of a server.
#[derive(Debug)]
pub(crate) struct DropFolder {
    lender: Lender,
    settings: Arc<Settings>,
    book: Mutex<Book>,
    bell: Bell,
    /// Until somebody watches.
    alarm: Mutex<Option<Alarm>>,
}

impl DropFolder {
    /// One of which nothing is loaded yet.
    ///
    /// # Errors
    /// If the process has no file descriptor left.
    pub(crate) fn new(runtime: &Arc<Runtime>, settings: &Arc<Settings>) -> io::Result<Self> {
        let alarm = Alarm::new()?;
        let (lender, settings) = (Lender::of(runtime), Arc::clone(settings));
        Ok(Self { lender, settings, book: Mutex::default(), bell: alarm.bell(), alarm: Mutex::new(Some(alarm)) })
    }

    /// Has it looked through again; what was refused is tried once more.
    pub(crate) fn look_again(&self) {
        self.bell.ring();
    }

    /// Loads everything in the folder, and follows its changes from then on. What takes longer than `start_wait` goes on in the background.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(crate) fn load(self: &Arc<Self>, runtime: &Arc<Runtime>) -> io::Result<Folder> {
        let listing = self.find();
        let (names, files): (Vec<String>, Vec<PathBuf>) =
            listing.plugins.iter().map(|(name, files)| (name.clone(), files.component.clone())).unzip();
        let outcomes = loading::start(runtime, &self.settings, &files);
        let deadline = Instant::now() + self.settings.start.start_wait;
        let mut folder = Folder::default();
        let reports = loading::collect(&outcomes, files.len(), Some(deadline));
        for ((outcome, name), file) in reports.into_iter().zip(&names).zip(files) {
            match outcome.map(|outcome| self.serve_first(runtime, name, outcome)) {
                None => folder.pending.push(file),
                Some(Ok(served)) => folder.served.extend(served),
                Some(Err(())) => folder.refused += 1,
            }
        }
        let is_late = !folder.pending.is_empty();
        if is_late {
            runtime.expect_more(true);
        }
        if let Some(alarm) = self.alarm.lock().take() {
            let (late, of) = (is_late.then_some((outcomes, names)), Arc::clone(self));
            let process = &self.settings.process;
            let mut watch = Watch::new(process.plugins.clone(), process.watch_plugins, alarm, &listing);
            panics::thread("duet-folder", move || of.follow(&mut watch, late.as_ref()))?;
        }
        Ok(folder)
    }

    /// The file of a plugin, whether it is there or not.
    pub(crate) fn file_of(&self, name: &str) -> PathBuf {
        self.settings.process.plugins.join(format!("{name}.wasm"))
    }

    /// The settings of a plugin as they are now.
    ///
    /// # Errors
    /// Every mistake in the file beside it.
    pub(crate) fn settings_of(&self, name: &str) -> Result<PluginSettings, Mistakes> {
        own_settings(&self.settings, &self.file_of(name))
    }

    /// What is probably a mistake in a plugin or its settings, though it is served.
    pub(crate) fn warnings(&self, own: &PluginSettings, loaded: &Loaded) -> Vec<String> {
        warnings(&self.settings, own, loaded)
    }

    /// The files that are not served as they are, by name.
    pub(crate) fn refused(&self) -> BTreeMap<String, Refused> {
        self.book.lock().refused.clone()
    }

    /// Notes with which settings a plugin serves now.
    pub(crate) fn serves_with(&self, name: &str, own: PluginSettings) {
        let mut book = self.book.lock();
        book.refused.remove(name);
        book.served_with.insert(name.to_owned(), own);
    }

    fn refuse(&self, name: &str, why: &str) {
        let why = why.lines().collect::<Vec<_>>().join("; ");
        self.book.lock().refused.insert(name.to_owned(), Refused { at: SystemTime::now(), why });
    }

    fn forget(&self, name: &str) {
        let mut book = self.book.lock();
        book.refused.remove(name);
        book.served_with.remove(name);
    }

    /// What claims to be a plugin, by name. Warns of files that are meant for something and are of no use.
    fn find(&self) -> Listing {
        let folder = &self.settings.process.plugins;
        let listing = Listing::read(folder).unwrap_or_else(|error| {
            // An operator who starts the server in a wrong folder has to see which one it is.
            tracing::warn!("{}: {error}; no plugins are loaded", misses::absolute(folder));
            Listing::default()
        });
        for miss in misses::find(folder, &listing.entries, self.settings.plugin.keys()) {
            tracing::warn!("{miss}");
        }
        listing
    }

    /// Serves what nothing has served before. `None` if it is not meant to.
    fn serve_first(&self, runtime: &Runtime, name: &str, outcome: Outcome) -> Result<Option<Served>, ()> {
        match outcome {
            Outcome::Loaded(loaded) => {
                let (loaded, own) = *loaded;
                self.serve(runtime, loaded, own).map(Some)
            }
            Outcome::SwitchedOff => Ok(None),
            Outcome::Refused(why) => {
                self.refuse(name, &why);
                Err(())
            }
            Outcome::GivenUp => Err(()),
        }
    }

    fn serve(&self, runtime: &Runtime, loaded: Loaded, own: PluginSettings) -> Result<Served, ()> {
        let served = Served {
            name: loaded.name.clone(),
            version: loaded.manifest.version.clone(),
            routes: loaded.manifest.routes().iter().map(|r| r.route.0).collect(),
            cached: loaded.cached,
            time: loaded.time,
        };
        match runtime.serve(loaded) {
            Ok(()) => {
                self.serves_with(&served.name, own);
                return Ok(served);
            }
            // The process is ending; that is not the fault of the file.
            Err(_) if runtime.loader().is_stopped() => {}
            Err(error) => {
                tracing::error!("plugin refused: {error}");
                self.refuse(&served.name, &error.to_string());
            }
        }
        Err(())
    }

    /// Serves a plugin while the ports are open.
    fn serve_late(&self, runtime: &Runtime, name: &str, outcome: Outcome) {
        if let Ok(Some(served)) = self.serve_first(runtime, name, outcome) {
            tracing::info!(plugin = served.name, version = served.version, routes = ?served.routes, time = ?served.time, "plugin serves");
        }
    }

    /// Serves what was late at the start, then acts on each round of changes.
    fn follow(&self, watch: &mut Watch, late: Option<&(Receiver<Report>, Vec<String>)>) {
        if let Some((outcomes, names)) = late {
            for (number, outcome) in outcomes {
                let Some(runtime) = self.lender.lend() else { return };
                if let Some(name) = names.get(number) {
                    panics::survive("serving a plugin", || self.serve_late(&runtime, name, outcome));
                }
            }
            // Each of them serves or was refused: what is unknown now stays unknown.
            let Some(runtime) = self.lender.lend() else { return };
            runtime.expect_more(false);
        }
        loop {
            match watch.next() {
                Follow::Retry => std::mem::take(&mut self.book.lock().refused).keys().for_each(|name| watch.forget(name)),
                Follow::Round(round, files) => {
                    let Some(runtime) = self.lender.lend() else { return };
                    self.act(&runtime, &round, &files);
                }
            }
        }
    }

    /// First what makes room, then what comes, by name.
    fn act(&self, runtime: &Arc<Runtime>, round: &Round, files: &[PathBuf]) {
        for name in &round.gone {
            panics::survive("withdrawing a plugin", || self.withdraw(runtime, name));
        }
        let outcomes = loading::collect(&loading::start(runtime, &self.settings, files), files.len(), None);
        for (outcome, name) in outcomes.into_iter().zip(&round.changed) {
            panics::survive("replacing a plugin", || self.settle(runtime, name, outcome.unwrap_or(Outcome::GivenUp)));
        }
    }

    /// Does with a file that was loaded again what it asks for.
    fn settle(&self, runtime: &Runtime, name: &str, outcome: Outcome) {
        let serving = runtime.snapshot().into_iter().find(|plugin| plugin.name == name);
        match (outcome, serving) {
            (Outcome::SwitchedOff, Some(_)) => self.withdraw(runtime, name),
            (Outcome::SwitchedOff, None) => self.forget(name),
            (Outcome::Loaded(loaded), Some(serving)) => {
                let (loaded, own) = *loaded;
                if serving.hash == loaded.id().hash && self.book.lock().served_with.get(name) == Some(&own) {
                    tracing::debug!(plugin = name, "written again, and the same as before");
                    self.book.lock().refused.remove(name);
                    return;
                }
                match runtime.swap(loaded, false) {
                    Ok(_) => self.serves_with(name, own),
                    // That is not the fault of the file.
                    Err(_) if runtime.loader().is_stopped() => {}
                    Err(error) => self.refuse(name, &error.reason()),
                }
            }
            (outcome, _) => self.serve_late(runtime, name, outcome),
        }
    }

    /// Takes a plugin out of service whose file is gone or switched off.
    fn withdraw(&self, runtime: &Runtime, name: &str) {
        self.forget(name);
        if !runtime.snapshot().iter().any(|plugin| plugin.name == name) {
            return;
        }
        tracing::info!(plugin = name, "its file is gone or switched off; it handles what it was given, and ends");
        if let Err(error) = runtime.withdraw(name) {
            tracing::error!(plugin = name, "not withdrawn in good order: {error}");
        }
    }
}

/// Whether this can be the name of a plugin in the folder, and leads nowhere else.
pub(crate) fn is_name(name: &str) -> bool {
    let file = format!("{name}.wasm");
    !name.contains('\0') && Path::new(&file).file_name().is_some_and(|last| last == file.as_str()) && !name.starts_with('.')
}
