//! From a file to a plugin that is ready to serve: check, compile or take from the cache, link, describe.

pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod compile;
pub(crate) mod contract;
pub(crate) mod id;
pub(crate) mod manifest;
pub(crate) mod world;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use duet_core::Directory;
use tokio::runtime::Handle;
use tokio::sync::watch;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::call::engine::{self, Ticker, Uptime};
use crate::call::lane::wait_here;
use crate::call::template::Template;
use crate::host::Linkers;
use crate::host::context::Context;
use crate::host::log::one_line;
use crate::load::cache::{Cache, Source};
use crate::load::check::{CheckError, check};
use crate::load::compile::{CompileError, compile};
use crate::load::id::VersionId;
use crate::load::manifest::{Keeps, Manifest, ManifestError};
use crate::load::world::Handlers;
use crate::options::{PluginOptions, RuntimeOptions};
use crate::panic::contained;

/// Why a file is not loaded. The text names the file, everything that is wrong with it, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}", one_line(&format!("{}: {}", file.display(), self.reasons().join("; also: "))))]
pub struct LoadError {
    file: PathBuf,
    reasons: Vec<Reason>,
}

impl LoadError {
    pub(crate) fn new(file: &Path, reason: impl Into<Reason>) -> Self {
        Self::all(file, only(reason))
    }

    pub(crate) fn all(file: &Path, reasons: Vec<Reason>) -> Self {
        Self { file: file.to_owned(), reasons }
    }

    /// What is wrong, one line each.
    pub fn reasons(&self) -> Vec<String> {
        self.reasons.iter().map(|reason| one_line(&reason.to_string())).collect()
    }
}

/// For a place where only one thing can be wrong.
fn only(reason: impl Into<Reason>) -> Vec<Reason> {
    vec![reason.into()]
}

/// For a place where several things can be.
pub(crate) fn every<R: Into<Reason>>(reasons: Vec<R>) -> Vec<Reason> {
    reasons.into_iter().map(R::into).collect()
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it is a link that leads out of its folder; a plugin must be in the folder itself")]
    Outside,
    #[error("it has {bytes} bytes, the limit is {limit}; make it smaller, or raise `runtime.file_bytes_max`")]
    Large { bytes: u64, limit: u64 },
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("it does not fit the contract: {0}; build it against duet:plugin@{version}", version = crate::load::contract::CONTRACT)]
    Link(String),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{0}")]
    Describe(String),
    #[error("{0}")]
    Start(String),
    #[error("what a new instance saves, another does not restore: {0}")]
    State(String),
    #[error("an instance does not end in good order: {0}")]
    Stop(String),
    #[error("its configuration is not a JSON object: {0}")]
    Config(#[from] serde_json::Error),
    #[error(transparent)]
    Route(#[from] duet_core::PublishError),
    #[error("its code is not in the cache any more; put its file into the folder of plugins again")]
    NotCached,
    #[error("a plugin of that name is loaded already")]
    Twice,
    #[error("it is not served, because the process is stopping")]
    Stopped,
    #[error("the host could not set itself up: {0}")]
    Host(String),
    #[error("the host panicked: {0}")]
    Panic(String),
}

/// Loads files. A process has one.
pub struct Loader {
    pub(crate) engine: Engine,
    linkers: Linkers,
    /// `None` if the folder cannot be used: every plugin is compiled then.
    cache: Option<Cache>,
    /// Used up once the log has said that the cache cannot be written.
    warned: Once,
    options: Arc<RuntimeOptions>,
    directory: Arc<dyn Directory>,
    /// Whether to give up what is under way.
    stop: watch::Sender<bool>,
    /// How many plugins are being loaded or started.
    loads: watch::Sender<usize>,
    /// The clock of all budgets, those of `describe` included.
    ticker: Ticker,
}

/// A file that passed everything short of serving.
pub struct Loaded {
    /// Name of the plugin: the file name without `.wasm`, unless it was loaded by another.
    pub name: String,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Whether its compiled form was in the cache.
    pub cached: bool,
    /// Whether it is called in batches.
    pub batch: bool,
    /// How long loading took.
    pub time: Duration,
    /// Why the instance that [`Loader::check`] started did not end in good order. Such a plugin is served all the same.
    pub ends_badly: Option<String>,
    pub(crate) file: PathBuf,
    pub(crate) source: Source,
    pub(crate) options: PluginOptions,
    pub(crate) template: Template,
}

impl Loaded {
    /// Whether it is called in the asynchronous lane, because it imports something that waits.
    pub fn waits(&self) -> bool {
        self.template.waits()
    }

    /// Which version it is.
    pub fn id(&self) -> VersionId {
        VersionId::new(&self.manifest.version, Some(self.source))
    }

    /// A separate instance, called without queue and threads, to measure a call: request records in, effect records out.
    ///
    /// # Errors
    /// If the instance does not start.
    #[doc(hidden)]
    pub fn caller(&self) -> Result<impl FnMut(&[u8]) -> Result<Vec<u8>, String> + use<>, LoadError> {
        let mut guest =
            wait_here(self.template.instantiate()).map_err(|fault| LoadError::new(&self.file, Reason::Start(fault.to_string())))?;
        Ok(move |requests: &[u8]| wait_here(guest.call(requests)).map_err(|fault| fault.to_string()))
    }
}

impl Loader {
    /// Sets up the engine and the cache. `directory` answers what plugins ask about connections.
    ///
    /// # Errors
    /// If this machine cannot run the engine. A cache folder that cannot be used is not an error: the log says why, and nothing is kept.
    pub fn new(options: Arc<RuntimeOptions>, directory: Arc<dyn Directory>) -> Result<Self, LoadError> {
        let host = |e: wasmtime::Error| LoadError::new(&options.cache, Reason::Host(format!("{e:#}")));
        let engine = engine::engine().map_err(host)?;
        let linkers = Linkers::new(&engine).map_err(host)?;
        let cache = Cache::open(&options.cache, &engine)
            .inspect_err(|error| tracing::warn!("plugins are compiled at each start, because the cache cannot be used: {error}"))
            .ok();
        let ticker = Ticker::start(engine.clone()).map_err(|e| LoadError::new(&options.cache, Reason::Host(format!("no thread: {e}"))))?;
        let (stop, loads) = (watch::Sender::new(false), watch::Sender::new(0));
        Ok(Self { engine, linkers, cache, warned: Once::new(), options, directory, stop, loads, ticker })
    }

    /// How long the process has run.
    pub(crate) const fn uptime(&self) -> &Uptime {
        self.ticker.uptime()
    }

    /// Loads and serves nothing more, and ends the compilations that are under way.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether [`Self::stop`] was called: a file that is not loaded after that is not at fault.
    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until nothing is being loaded or started: no compiler runs then, and no half-written file is left.
    pub async fn idle(&self) {
        drop(self.loads.subscribe().wait_for(|loads| *loads == 0).await);
    }

    /// Loads one file. Blocks while it compiles: call it on a thread of its own, outside of any runtime.
    ///
    /// # Errors
    /// [`LoadError`] with the reason. A file that is refused leaves nothing behind.
    pub fn load(&self, file: &Path, options: PluginOptions) -> Result<Loaded, LoadError> {
        self.guarded(&named(file), file, options, false)
    }

    /// Loads one file as a version of the plugin `name`, whatever the file is called.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_as(&self, name: &str, file: &Path, options: PluginOptions) -> Result<Loaded, LoadError> {
        self.guarded(name, file, options, false)
    }

    /// Loads one file, starts an instance and ends it: what serving it would do, short of its routes. Its state goes from one new instance to
    /// another.
    ///
    /// # Errors
    /// [`LoadError`] with everything that is wrong, as far as it can be found.
    pub fn check(&self, file: &Path, options: PluginOptions) -> Result<Loaded, LoadError> {
        self.guarded(&named(file), file, options, true)
    }

    /// What wakes tasks at a time. They must not take long: all budgets are counted on their thread.
    pub(crate) const fn timers(&self) -> &Handle {
        self.ticker.timers()
    }

    /// A guard that [`Self::idle`] waits for until it is dropped.
    pub fn underway(&self) -> Underway {
        self.loads.send_modify(|loads| *loads += 1);
        Underway(self.loads.clone())
    }

    fn guarded(&self, name: &str, file: &Path, options: PluginOptions, start: bool) -> Result<Loaded, LoadError> {
        let _underway = self.underway();
        // The next plugin is loaded whatever happens to this one.
        contained(|| self.load_file(name, file, options, start))
            .unwrap_or_else(|panic| Err(only(Reason::Panic(panic))))
            .map_err(|reasons| LoadError::all(file, reasons))
    }

    fn load_file(&self, name: &str, file: &Path, options: PluginOptions, start: bool) -> Result<Loaded, Vec<Reason>> {
        let begun = Instant::now();
        let (component, source, cached) = self.component(file)?;
        let mut loaded = self.described(name, file, &component, source, options, start)?;
        (loaded.cached, loaded.time) = (cached, begun.elapsed());
        Ok(loaded)
    }

    /// A version that was loaded before, out of the cache.
    pub(crate) fn recall(&self, name: &str, file: &Path, source: Source, options: PluginOptions) -> Result<Loaded, LoadError> {
        let component = self.cache.as_ref().and_then(|cache| cache.load(source)?.component(&self.engine).ok());
        let described =
            component.map_or_else(|| Err(only(Reason::NotCached)), |code| self.described(name, file, &code, source, options, false));
        described.map_err(|reasons| LoadError::all(file, reasons))
    }

    /// What a component says of itself.
    fn described(
        &self,
        name: &str,
        file: &Path,
        component: &Component,
        source: Source,
        options: PluginOptions,
        start: bool,
    ) -> Result<Loaded, Vec<Reason>> {
        let begun = Instant::now();
        let context = Context::new(name, &options, &self.directory).map_err(only)?;
        let template = Template::new(&self.linkers, component, Arc::clone(&context), options.clone(), self.ticker.timers());
        let template = template.map_err(|fault| only(Reason::Link(fault)))?;
        let handlers = template.handlers();
        let described = wait_here(template.describe()).map_err(|text| only(Reason::Describe(text)));
        let manifest = described.and_then(|text| Manifest::parse(&text, handlers, template.has_state()).map_err(every));
        let started = if start { wait_here(template.try_start()) } else { Ok(None) };
        let (manifest, ends_badly) = match (manifest, started.map_err(|fault| Reason::Start(fault.to_string()))) {
            (Ok(manifest), Ok(ends_badly)) => {
                if let (true, Keeps::State { schema, .. }) = (start, manifest.keeps()) {
                    wait_here(template.try_state(schema)).map_err(|text| only(Reason::State(text)))?;
                }
                (manifest, ends_badly.as_deref().map(one_line))
            }
            (Ok(_), Err(reason)) => return Err(vec![reason]),
            (Err(mut reasons), started) => {
                reasons.extend(started.map_or_else(Some, |ends_badly| ends_badly.map(Reason::Stop)));
                return Err(reasons);
            }
        };
        context.log.is_of(VersionId::new(&manifest.version, Some(source)));
        let batch = handlers == Handlers::Batch;
        Ok(Loaded {
            name: name.to_owned(),
            manifest,
            cached: true,
            batch,
            time: begun.elapsed(),
            ends_badly,
            file: file.to_owned(),
            source,
            options,
            template,
        })
    }

    /// The compiled form of a file, its hash, and whether it was in the cache.
    fn component(&self, file: &Path) -> Result<(Component, Source, bool), Vec<Reason>> {
        let bytes = read(file, self.options.file_bytes_max).map_err(only)?;
        let source = Source::of(&bytes);
        let kept = self.cache.as_ref().and_then(|cache| cache.load(source));
        // No check: it was checked before it was compiled.
        if let Some(component) = kept.and_then(|code| code.component(&self.engine).ok()) {
            return Ok((component, source, true));
        }
        check(&bytes, self.options.function_bytes_max).map_err(every)?;
        Ok((self.compile(&bytes, source).map_err(only)?, source, false))
    }

    /// Compiles the bytes that were checked, and keeps the result if it can. If it cannot, that is not the plugin's fault, so it only
    /// warns.
    fn compile(&self, wasm: &[u8], source: Source) -> Result<Component, Reason> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = self.stop.subscribe();
        let compiled = runtime.block_on(compile(&self.options.compile, self.options.compile_limits, stop, wasm))?;
        if let Some(Err(error)) = self.cache.as_ref().map(|cache| cache.store(source, &compiled)) {
            let folder = self.options.cache.display();
            self.warned.call_once(|| tracing::warn!("compiled plugins cannot be kept in {folder}, so each start compiles them: {error}"));
        }
        compiled.component(&self.engine).map_err(|e| Reason::Host(format!("compiled code could not be loaded: {e:#}")))
    }
}

/// The name of the plugin in a file, if nothing else is said.
fn named(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Counts a load from beginning to end.
#[derive(Debug)]
pub struct Underway(watch::Sender<usize>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.send_modify(|loads| *loads -= 1);
    }
}

/// Reads a regular file that is not larger than the limit. A link is followed as long as it stays in the folder of the file, as those of a
/// Kubernetes volume do. One that leads out would pull files from outside into the server.
fn read(file: &Path, limit: u64) -> Result<Vec<u8>, Reason> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (folder, place) = (folder.canonicalize()?, file.canonicalize()?);
    if !place.starts_with(folder) {
        return Err(Reason::Outside);
    }
    let metadata = std::fs::symlink_metadata(&place)?;
    if !metadata.is_file() {
        return Err(Reason::NotAFile);
    }
    if metadata.len() > limit {
        return Err(Reason::Large { bytes: metadata.len(), limit });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    File::open(place)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Reason::Large { bytes: bytes.len() as u64, limit });
    }
    Ok(bytes)
}
