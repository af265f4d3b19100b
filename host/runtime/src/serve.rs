//! Serving: the runtime, which places plugins, and the way of a request through router, inbox and worker to its instance.

pub(crate) mod batch;
pub(crate) mod counters;
pub(crate) mod executor;
pub(crate) mod health;
pub(crate) mod hold;
pub(crate) mod inbox;
pub(crate) mod instance;
pub(crate) mod plugin;
pub(crate) mod record;
pub(crate) mod router;
pub(crate) mod seat;
pub(crate) mod slot;
pub(crate) mod snapshot;
pub(crate) mod swap;
pub(crate) mod version;
pub(crate) mod worker;

use std::path::Path;
use std::sync::Arc;
use std::task::Waker;

use duet_core::{CALL_REQUESTS_MAX, Directory, Dispatch, Egress, Full, Mutex, PluginEntry, PublishError, Registry, Requests};

use crate::call::lane::wait_here;
use crate::load::manifest::Manifest;
use crate::load::world::Handlers;
use crate::load::{LoadError, Loaded, Loader, Reason, every};
use crate::options::{Instances, PluginOptions, RuntimeOptions};
use crate::panic::contained;
use crate::serve::batch::BatchLimits;
use crate::serve::executor::Executor;
use crate::serve::inbox::Inbox;
use crate::serve::instance::{Code, NativeHandler};
use crate::serve::plugin::Plugin;
use crate::serve::record::Happened;
use crate::serve::router::Router;
use crate::serve::seat::Seat;
use crate::serve::slot::{Gate, Slot};
use crate::serve::snapshot::PluginSnapshot;
use crate::serve::version::Version;

/// Runs the plugins of a process.
pub struct Runtime {
    options: Arc<RuntimeOptions>,
    registry: Arc<dyn Registry>,
    gate: Gate,
    /// Shared with the clock, which looks at the counters now and then.
    router: Arc<Router>,
    /// Held while a plugin is placed, exchanged or withdrawn, which takes as long as its instances take to start.
    placing: Mutex<()>,
    // Dropped in this order: first what calls plugins, last the loader, which has the clock of their budgets.
    executor: Executor,
    loader: Loader,
}

impl Runtime {
    /// Starts the threads. Effects go to `egress`, routes of loaded plugins to `registry`; `directory` answers what plugins ask about
    /// connections.
    ///
    /// # Errors
    /// If the engine cannot be set up, or a thread cannot be started.
    pub fn new(
        options: RuntimeOptions,
        registry: Arc<dyn Registry>,
        egress: Arc<dyn Egress>,
        directory: Arc<dyn Directory>,
    ) -> Result<Arc<Self>, LoadError> {
        let options = Arc::new(options);
        let loader = Loader::new(Arc::clone(&options), Arc::clone(&directory))?;
        let router = Arc::new(Router::new(Arc::clone(&egress)));
        loader.timers().spawn(router::count_now_and_then(Arc::downgrade(&router)));
        let threads = |e: std::io::Error| LoadError::new(Path::new("duet"), Reason::Host(format!("no thread: {e}")));
        Ok(Arc::new(Self {
            registry,
            router,
            gate: Gate { egress, directory },
            placing: Mutex::default(),
            executor: Executor::start(options.threads()).map_err(threads)?,
            loader,
            options,
        }))
    }

    /// What loads files for this runtime.
    pub const fn loader(&self) -> &Loader {
        &self.loader
    }

    /// Makes a plugin's instances and publishes its routes. Call it outside of any runtime of tokio.
    ///
    /// # Errors
    /// If an instance does not start, or one of its routes belongs to another plugin. Nothing of the plugin is published then.
    pub fn serve(&self, loaded: Loaded) -> Result<(), LoadError> {
        let _underway = self.loader.underway();
        let (name, file) = (loaded.name.clone(), loaded.file.clone());
        let instances = self.instances(&loaded.options);
        let version = Version::of(loaded, instances);
        // The next plugin is served whatever happens to this one.
        contained(|| self.place(&name, version))
            .unwrap_or_else(|panic| Err(Reason::Panic(panic)))
            .map_err(|reason| LoadError::new(&file, reason))
    }

    /// Serves a handler that is linked into this binary, for comparison with the same one as a component.
    ///
    /// # Errors
    /// As [`Self::serve`], and if the manifest is not valid.
    pub fn serve_native(&self, name: &str, manifest: &str, handler: NativeHandler, options: PluginOptions) -> Result<(), LoadError> {
        let manifest = Manifest::parse(manifest, Handlers::Batch, false).map_err(|e| LoadError::all(Path::new(name), every(e)))?;
        let instances = self.instances(&options);
        let version = Version::native(manifest, options, Code::Native(handler), instances);
        self.place(name, version).map_err(|e| LoadError::new(Path::new(name), e))
    }

    /// Puts a version into a seat of its own.
    fn place(&self, name: &str, version: Version) -> Result<(), Reason> {
        let _placing = self.placing.lock();
        if self.router.named(name).is_some() {
            return Err(Reason::Twice);
        }
        // Checked before anything of the plugin runs. Plugins are placed one at a time, so nobody takes a route in between.
        for entry in version.manifest.routes() {
            if let Some(holder) = self.router.holder(entry.route) {
                return Err(PublishError { route: entry.route, holder: Arc::clone(&holder.seat.name) }.into());
            }
        }
        let count = version.counters.len();
        let (options, uptime) = (&self.options, self.loader.uptime());
        let inboxes = (0..count).map(|_| Inbox::new(options.queue_messages, options.queue_bytes, uptime.clone())).collect();
        let affinity = version.options.affinity;
        let plugin = Arc::new(Plugin { seat: Arc::new(Seat::new(name, inboxes, affinity)), version: Arc::new(version) });
        for slot in self.start(&plugin)? {
            self.executor.spawn(slot.serve());
        }
        self.router.add(&plugin);
        let published = self.publish(&plugin);
        match &published {
            Ok(()) => plugin.seat.record.lock().serves(&plugin.version, Happened::Served, None, String::new()),
            Err(_) => {
                self.router.remove(&plugin);
                plugin.seat.close();
            }
        }
        published
    }

    fn instances(&self, options: &PluginOptions) -> usize {
        match options.instances {
            Instances::Fixed(count) => count.max(1),
            Instances::Workers => self.executor.workers(),
        }
    }

    /// Makes the instances of a plugin on this thread, while everything else goes on.
    fn start(&self, plugin: &Arc<Plugin>) -> Result<Vec<Slot>, Reason> {
        let limits = BatchLimits { messages: self.options.batch_messages.clamp(1, CALL_REQUESTS_MAX), bytes: self.options.batch_bytes };
        let mut slots = Vec::with_capacity(plugin.seat.inboxes.len());
        for (inbox, counters) in plugin.seat.inboxes.iter().zip(&plugin.version.counters) {
            if self.loader.is_stopped() {
                return Err(Reason::Stopped);
            }
            let mut slot = Slot::new(Arc::clone(plugin), Arc::clone(inbox), Arc::clone(counters), limits, self.gate.clone());
            wait_here(slot.warm()).map_err(|e| Reason::Start(e.to_string()))?;
            slots.push(slot);
        }
        Ok(slots)
    }

    /// Tells the gate, last of all: a route that it knows must already be in the router.
    fn publish(&self, plugin: &Plugin) -> Result<(), Reason> {
        let manifest = &plugin.version.manifest;
        self.registry.publish(PluginEntry {
            name: Arc::clone(&plugin.seat.name),
            version: manifest.version.as_str().into(),
            routes: manifest.routes(),
            events: manifest.events(),
        })?;
        // `withdraw_all` stops the loader before it looks for plugins: either it finds this one, or the stop is seen here.
        if self.loader.is_stopped() {
            self.registry.withdraw(&plugin.seat.name);
            return Err(Reason::Stopped);
        }
        Ok(())
    }

    /// What all plugins have done so far, and how they are doing.
    pub fn snapshot(&self) -> Vec<PluginSnapshot> {
        self.router.plugins().iter().map(|plugin| PluginSnapshot::of(plugin)).collect()
    }

    /// Says whether plugins are still being loaded: until they are, an unknown route is answered `unavailable`, because it may still come.
    pub fn expect_more(&self, more: bool) {
        self.registry.expect_more(more);
    }

    /// Takes the routes of all plugins out of the registry, and lets no more in. Their instances end when the runtime is dropped. It does
    /// not wait for a plugin that is starting.
    pub fn withdraw_all(&self) {
        self.loader.stop();
        for plugin in self.router.plugins() {
            self.registry.withdraw(&plugin.seat.name);
        }
    }
}

impl Dispatch for Runtime {
    fn dispatch(&self, requests: Requests, waker: &Waker) -> Result<(), Full> {
        self.router.dispatch(requests, waker)
    }

    fn is_idle(&self) -> bool {
        self.router.is_idle()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.router.plugins().iter().for_each(|plugin| plugin.seat.close());
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("workers", &self.executor.workers()).finish_non_exhaustive()
    }
}
