//! From a file to a plugin that is ready to serve: check, compile or take from the cache, link, describe.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use duet_core::Directory;
use tokio::sync::watch;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::{Cache, Source};
use crate::check::{CheckError, check};
use crate::compile::{CompileError, compile};
use crate::engine::{self, Ticker};
use crate::guest::{Lane, Template};
use crate::host::{Context, Linkers, one_line};
use crate::manifest::{Handlers, Manifest, ManifestError};
use crate::options::{PluginOptions, RuntimeOptions};
use crate::panic::contained;

/// Why a file is not loaded. The text names the file, the reason and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}", one_line(&format!("{}: {reason}", file.display())))]
pub struct LoadError {
    file: PathBuf,
    reason: Reason,
}

impl LoadError {
    pub(crate) fn new(file: &Path, reason: impl Into<Reason>) -> Self {
        Self { file: file.to_owned(), reason: reason.into() }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it is a link that leads out of its folder; plugins must lie in the folder themselves")]
    Outside,
    #[error("it has {bytes} bytes, the limit is {limit}; make it smaller, or raise `runtime.file_bytes_max`")]
    Large { bytes: u64, limit: u64 },
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("it does not fit the contract: {0}; build it against duet:plugin@{version}", version = crate::check::CONTRACT)]
    Link(String),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{0}")]
    Describe(String),
    #[error("it does not start: {0}")]
    Start(String),
    #[error("its configuration is not a JSON object: {0}")]
    Config(#[from] serde_json::Error),
    #[error(transparent)]
    Route(#[from] duet_core::PublishError),
    #[error("a plugin of that name is loaded already")]
    Twice,
    #[error("the host could not set itself up: {0}")]
    Host(String),
    #[error("the host panicked: {0}")]
    Panic(String),
}

/// Loads files; one for each process.
pub struct Loader {
    pub(crate) engine: Engine,
    linkers: Linkers,
    /// `None` if the folder cannot be used: every plugin is compiled then.
    cache: Option<Cache>,
    /// Said once that the cache cannot be written.
    warned: Once,
    options: Arc<RuntimeOptions>,
    directory: Arc<dyn Directory>,
    /// Whether to give up what is under way.
    stop: watch::Sender<bool>,
    /// How many loads are under way.
    loads: watch::Sender<usize>,
    /// The clock of all budgets, those of `describe` included.
    _ticker: Ticker,
}

/// A file that passed everything short of serving.
pub struct Loaded {
    /// Name of the plugin: the file name without `.wasm`.
    pub name: String,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Whether its compiled form was in the cache.
    pub cached: bool,
    /// Whether it is called in batches.
    pub batch: bool,
    /// How long loading took.
    pub time: Duration,
    pub(crate) file: PathBuf,
    pub(crate) options: PluginOptions,
    pub(crate) template: Template,
}

impl Loaded {
    /// Whether it is called in the asynchronous lane, because it imports something that waits.
    pub fn waits(&self) -> bool {
        self.template.lane == Lane::Waiting
    }

    /// An instance of its own, called without queue and threads, to measure a call: request records in, effect records out.
    ///
    /// # Errors
    /// If the instance does not start.
    #[doc(hidden)]
    pub fn caller(&self) -> Result<impl FnMut(&[u8]) -> Result<Vec<u8>, String> + use<>, LoadError> {
        let mut guest = self.template.instantiate().map_err(|fault| LoadError::new(&self.file, Reason::Start(fault.to_string())))?;
        Ok(move |requests: &[u8]| guest.call(requests).map_err(|fault| fault.to_string()))
    }
}

impl Loader {
    /// Sets the engine and the cache up. `directory` answers what plugins ask about connections.
    ///
    /// # Errors
    /// If this machine cannot run the engine. A cache folder that cannot be used is no error: the log says why, and nothing is kept.
    pub fn new(options: Arc<RuntimeOptions>, directory: Arc<dyn Directory>) -> Result<Self, LoadError> {
        let host = |e: wasmtime::Error| LoadError::new(&options.cache, Reason::Host(format!("{e:#}")));
        let engine = engine::engine().map_err(host)?;
        let linkers = Linkers::new(&engine).map_err(host)?;
        let cache = Cache::open(&options.cache, &engine)
            .inspect_err(|error| tracing::warn!("plugins are compiled at each start, because the cache cannot be used: {error}"))
            .ok();
        let ticker = Ticker::start(engine.clone()).map_err(|e| LoadError::new(&options.cache, Reason::Host(format!("no thread: {e}"))))?;
        let (stop, loads) = (watch::Sender::new(false), watch::Sender::new(0));
        Ok(Self { engine, linkers, cache, warned: Once::new(), options, directory, stop, loads, _ticker: ticker })
    }

    /// Loads nothing more, and ends the compilations that are under way.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether [`Self::stop`] was called: what is not loaded then is not refused for a fault of its own.
    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until no load is under way: no compiler runs then, and no half file is left.
    pub async fn idle(&self) {
        drop(self.loads.subscribe().wait_for(|loads| *loads == 0).await);
    }

    /// Loads one file. Blocks while it compiles: call it on a thread of its own, outside of any runtime.
    ///
    /// # Errors
    /// [`LoadError`] with the reason. A file that is refused leaves nothing behind.
    pub fn load(&self, file: &Path, options: PluginOptions) -> Result<Loaded, LoadError> {
        let begun = Instant::now();
        let _underway = Underway::begin(&self.loads);
        // Whoever loads plugins goes on with the next one.
        contained(|| self.load_file(file, options, begun))
            .unwrap_or_else(|panic| Err(Reason::Panic(panic)))
            .map_err(|reason| LoadError { file: file.to_owned(), reason })
    }

    fn load_file(&self, file: &Path, options: PluginOptions, begun: Instant) -> Result<Loaded, Reason> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = read(file, self.options.file_bytes_max)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let source = Source::of(&bytes);
        let kept = self.cache.as_ref().and_then(|cache| cache.load(source));
        let (component, cached) = match kept.and_then(|code| code.component(&self.engine).ok()) {
            // It was checked before it was compiled.
            Some(component) => (component, true),
            None => {
                check(&bytes, self.options.function_bytes_max)?;
                (self.compile(&runtime, &bytes, source)?, false)
            }
        };
        drop(bytes);
        let context = Context::new(&name, &options, &self.directory)?;
        let template = Template::new(&self.linkers, &component, context, options.clone()).map_err(Reason::Link)?;
        let handlers = template.handlers();
        let manifest = Manifest::parse(&template.describe(&runtime).map_err(Reason::Describe)?, handlers)?;
        let batch = handlers == Handlers::Batch;
        Ok(Loaded { name, manifest, cached, batch, time: begun.elapsed(), file: file.to_owned(), options, template })
    }

    /// Compiles the bytes that were checked, and keeps the result if there is a place for it. That is never the plugin's fault.
    fn compile(&self, runtime: &tokio::runtime::Runtime, wasm: &[u8], source: Source) -> Result<Component, Reason> {
        let stop = self.stop.subscribe();
        let compiled = runtime.block_on(compile(&self.options.compile, self.options.compile_limits, stop, wasm))?;
        if let Some(Err(error)) = self.cache.as_ref().map(|cache| cache.store(source, &compiled)) {
            let folder = self.options.cache.display();
            self.warned.call_once(|| tracing::warn!("compiled plugins cannot be kept in {folder}, so each start compiles them: {error}"));
        }
        compiled.component(&self.engine).map_err(|e| Reason::Host(format!("compiled code could not be loaded: {e:#}")))
    }
}

/// Counts a load from its begin to its end.
struct Underway<'a>(&'a watch::Sender<usize>);

impl<'a> Underway<'a> {
    fn begin(loads: &'a watch::Sender<usize>) -> Self {
        loads.send_modify(|loads| *loads += 1);
        Self(loads)
    }
}

impl Drop for Underway<'_> {
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
