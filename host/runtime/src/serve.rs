//! The runtime: threads, loaded plugins, and the way of a request to its instance.

pub(crate) mod batch;
pub(crate) mod health;
pub(crate) mod inbox;
pub(crate) mod plugin;
pub(crate) mod slot;
pub(crate) mod task;
pub(crate) mod worker;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use arc_swap::ArcSwap;
use duet_core::{
    Directory, Dispatch, Egress, ErrorCode, Full, Mutex, MutexGuard, PluginEntry, PublishError, Registry, Request, RequestKind, Requests,
    Route,
};

use crate::call::guest::Lane;
use crate::load::manifest::{Handlers, Manifest};
use crate::load::{LoadError, Loaded, Loader, Reason, every};
use crate::options::{Instances, PluginOptions, RuntimeOptions};
use crate::panic::contained;
use crate::serve::batch::BatchLimits;
use crate::serve::inbox::{Inbox, Signal};
use crate::serve::plugin::{Plugin, refuse};
use crate::serve::slot::{Maker, NativeHandler, Shared, Slot};
use crate::serve::task::WaitingLane;
use crate::serve::worker::{Worker, at_once};

/// Which plugin gets what.
#[derive(Clone, Default)]
struct Served {
    routes: HashMap<Route, Arc<Plugin>>,
    /// Who wants which events.
    events: Vec<(Vec<RequestKind>, Arc<Plugin>)>,
}

impl Served {
    fn with(&self, plugin: &Arc<Plugin>, manifest: &Manifest) -> Self {
        let mut served = self.clone();
        served.routes.extend(manifest.routes().iter().map(|r| (r.route, Arc::clone(plugin))));
        if !manifest.events().is_empty() {
            served.events.push((manifest.events(), Arc::clone(plugin)));
        }
        served
    }

    fn without(&self, plugin: &Arc<Plugin>) -> Self {
        let mut served = self.clone();
        served.routes.retain(|_, other| !Arc::ptr_eq(other, plugin));
        served.events.retain(|(_, other)| !Arc::ptr_eq(other, plugin));
        served
    }

    /// What stands in the route of an event, where it has no meaning, while the gateway keeps the copy that is for this inbox. Plugins
    /// are only ever added, so it stays the same.
    fn mark(&self, inbox: &Arc<Inbox>) -> Route {
        let at = self.events.iter().position(|(_, plugin)| plugin.inboxes.iter().any(|own| Arc::ptr_eq(own, inbox)));
        Route(at.map_or(0, |at| at as i32 + 1))
    }
}

/// Runs the plugins of a process.
pub struct Runtime {
    options: Arc<RuntimeOptions>,
    registry: Arc<dyn Registry>,
    shared: Shared,
    served: ArcSwap<Served>,
    /// Held while a plugin is placed, which takes as long as its instances take to start. Taken before `plugins`.
    placing: Mutex<()>,
    /// Those that are published. Never held while a guest runs.
    plugins: Mutex<Vec<Arc<Plugin>>>,
    next_worker: AtomicUsize,
    // Dropped in this order: what calls plugins first, the clock of their budgets, which the loader has, last.
    workers: Vec<Worker>,
    waiting: WaitingLane,
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
        let threads = |e: std::io::Error| LoadError::new(Path::new("duet"), Reason::Host(format!("no thread: {e}")));
        Ok(Arc::new(Self {
            registry,
            shared: Shared { egress, directory, in_flight: Arc::default() },
            served: ArcSwap::default(),
            placing: Mutex::default(),
            plugins: Mutex::default(),
            next_worker: AtomicUsize::new(0),
            workers: (0..options.workers.max(1)).map(Worker::start).collect::<Result<_, _>>().map_err(threads)?,
            waiting: WaitingLane::start().map_err(threads)?,
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
    /// If an instance does not start, or one of its routes belongs to another plugin. Nothing of it is published then.
    pub fn serve(&self, loaded: Loaded) -> Result<(), LoadError> {
        let _underway = self.loader.underway();
        let Loaded { name, manifest, file, options, template, .. } = loaded;
        let lane = template.lane;
        // Whoever loads plugins goes on with the next one.
        contained(|| self.place(&name, &manifest, options, lane, &Maker::Wasm(Arc::new(template))))
            .unwrap_or_else(|panic| Err(Reason::Panic(panic)))
            .map_err(|reason| LoadError::new(&file, reason))
    }

    /// Serves a handler that is linked into this binary, for comparison with the same one as a component.
    ///
    /// # Errors
    /// As [`Self::serve`], and if the manifest is none.
    pub fn serve_native(&self, name: &str, manifest: &str, handler: NativeHandler, options: PluginOptions) -> Result<(), LoadError> {
        let manifest = Manifest::parse(manifest, Handlers::Batch).map_err(|e| LoadError::all(Path::new(name), every(e)))?;
        self.place(name, &manifest, options, Lane::Sync, &Maker::Native(handler)).map_err(|e| LoadError::new(Path::new(name), e))
    }

    fn place(&self, name: &str, manifest: &Manifest, options: PluginOptions, lane: Lane, maker: &Maker) -> Result<(), Reason> {
        let _placing = self.placing.lock();
        if self.plugins().iter().any(|p| &*p.name == name) {
            return Err(Reason::Twice);
        }
        // Known before anything of the plugin runs. Plugins are served one after the other, so nobody takes a route meanwhile.
        let served = self.served.load();
        for route in manifest.routes() {
            if let Some(holder) = served.routes.get(&route.route) {
                return Err(PublishError { route: route.route, holder: Arc::clone(&holder.name) }.into());
            }
        }
        drop(served);
        let count = match options.instances {
            Instances::Fixed(count) => count.max(1),
            Instances::Workers => self.workers.len(),
        };
        let places: Vec<_> = (0..count).map(|_| self.place_for(lane)).collect();
        let inboxes = places.iter().map(|(_, inbox)| Arc::clone(inbox)).collect();
        let plugin = Arc::new(Plugin::new(name, manifest.version.clone(), options, inboxes));
        let limits = BatchLimits { messages: self.options.batch_messages.clamp(1, 64), bytes: self.options.batch_bytes };
        let mut slots = Vec::with_capacity(count);
        for (place, inbox) in places {
            if self.loader.is_stopped() {
                return Err(Reason::Stopped);
            }
            let mut slot = Slot::new(Arc::clone(&plugin), inbox, maker.clone(), limits, self.shared.clone());
            match lane {
                Lane::Sync => at_once(slot.warm()).transpose(),
                Lane::Waiting => tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(slot.warm()).map(Some),
            }
            .map_err(|e| Reason::Start(e.to_string()))?;
            slots.push((place, slot));
        }
        // From here on nothing waits. Whoever withdraws all plugins comes before this one, or finds it.
        let mut plugins = self.plugins();
        if self.loader.is_stopped() {
            return Err(Reason::Stopped);
        }
        for (place, slot) in slots {
            match place.and_then(|(worker, number)| Some((self.workers.get(worker)?, number))) {
                Some((worker, number)) => worker.queue.install(number, slot),
                None => self.waiting.install(slot),
            }
        }
        self.served.rcu(|served| served.with(&plugin, manifest));
        // Last: what a gate knows of must have its place here.
        let published = self.registry.publish(PluginEntry {
            name: name.into(),
            version: manifest.version.as_str().into(),
            routes: manifest.routes(),
            events: manifest.events(),
        });
        if let Err(error) = published {
            self.served.rcu(|served| served.without(&plugin));
            return Err(error.into());
        }
        plugins.push(plugin);
        Ok(())
    }

    /// A worker and a slot on it, or a place in the asynchronous lane; and the inbox that belongs to it.
    fn place_for(&self, lane: Lane) -> (Option<(usize, usize)>, Arc<Inbox>) {
        let worker = self.next_worker.fetch_add(1, Ordering::Relaxed) % self.workers.len().max(1);
        let place = match lane {
            Lane::Sync => self.workers.get(worker).map(|w| (Arc::clone(&w.queue), w.queue.reserve())),
            Lane::Waiting => None,
        };
        let number = place.as_ref().map(|(_, number)| (worker, *number));
        let signal = place.map_or_else(|| Signal::Task(tokio::sync::Notify::new()), |(queue, number)| Signal::Worker(queue, number));
        (number, Inbox::new(signal, self.options.queue_messages, self.options.queue_bytes))
    }

    /// Says whether plugins are still being loaded: until they are, clients learn of an unknown route that it may come.
    pub fn expect_more(&self, more: bool) {
        self.registry.expect_more(more);
    }

    /// Takes the routes of all plugins out of the registry, and lets no more come in; their instances end when the runtime is dropped. Does
    /// not wait for a plugin that starts.
    pub fn withdraw_all(&self) {
        self.loader.stop();
        for plugin in self.plugins().iter() {
            self.registry.withdraw(&plugin.name);
        }
    }

    fn plugins(&self) -> MutexGuard<'_, Vec<Arc<Plugin>>> {
        self.plugins.lock()
    }

    /// Offers requests that all go to one instance.
    fn offer(&self, inbox: &Inbox, requests: Requests, waker: &Waker) -> Result<(), Full> {
        let count = requests.len();
        // Before the worker can have handled them.
        self.shared.in_flight.fetch_add(count, Ordering::AcqRel);
        inbox.offer(requests, waker).inspect_err(|_| {
            self.shared.in_flight.fetch_sub(count, Ordering::AcqRel);
        })
    }
}

/// Where a request goes.
enum Target<'a> {
    Inbox(&'a Arc<Inbox>),
    Refused(ErrorCode),
}

impl Target<'_> {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Target::Inbox(a), Target::Inbox(b)) => Arc::ptr_eq(a, b),
            (Target::Refused(a), Target::Refused(b)) => a == b,
            _ => false,
        }
    }
}

fn target<'a>(served: &'a Served, request: &Request<'_>) -> Target<'a> {
    match served.routes.get(&request.route) {
        None => Target::Refused(ErrorCode::UNKNOWN_ROUTE),
        Some(plugin) if plugin.is_quarantined() => Target::Refused(ErrorCode::UNAVAILABLE),
        Some(plugin) => plugin.inbox_for(request).map_or(Target::Refused(ErrorCode::UNAVAILABLE), Target::Inbox),
    }
}

/// Where all of them go, if that is one place: the usual read comes from one connection and is about one thing.
fn common_target<'a>(served: &'a Served, requests: &Requests) -> Option<Target<'a>> {
    let mut requests = requests.iter();
    let mut last = requests.next().filter(|r| !r.kind.is_event())?;
    let first = target(served, &last);
    for request in requests {
        // A target depends on route, connection and uid, unless any instance will do.
        let same = request.route == last.route && request.conn == last.conn && request.uid == last.uid;
        if request.kind.is_event() || (!same && !target(served, &request).is(&first)) {
            return None;
        }
        last = request;
    }
    Some(first)
}

impl Dispatch for Runtime {
    fn dispatch(&self, requests: Requests, waker: &Waker) -> Result<(), Full> {
        let served = self.served.load();
        match common_target(&served, &requests) {
            Some(Target::Inbox(inbox)) => self.offer(inbox, requests, waker),
            Some(Target::Refused(code)) => {
                refuse(&*self.shared.egress, requests.iter(), code);
                Ok(())
            }
            None => self.dispatch_mixed(&served, requests, waker),
        }
    }

    fn is_idle(&self) -> bool {
        self.shared.in_flight.load(Ordering::Acquire) == 0
    }
}

impl Runtime {
    /// Splits one read by instance. What meets a full queue is given back, and with it whatever else goes to that queue.
    fn dispatch_mixed(&self, served: &Served, mut requests: Requests, waker: &Waker) -> Result<(), Full> {
        let mut groups: Vec<(Target<'_>, Requests)> = Vec::new();
        for request in &requests {
            if !request.kind.is_event() {
                add(&mut groups, target(served, &request), &request);
                continue;
            }
            // An event goes to all who want it. A copy that was given back carries the mark of the one it is for.
            for ((kinds, plugin), mark) in served.events.iter().zip(1..) {
                if [Route(0), Route(mark)].contains(&request.route)
                    && kinds.contains(&request.kind)
                    && !plugin.is_quarantined()
                    && let Some(inbox) = plugin.inbox_for(&request)
                {
                    add(&mut groups, Target::Inbox(inbox), &Request { route: Route(0), ..request });
                }
            }
        }
        let mut left = Requests::default();
        let mut waiting = requests.take_in_flight();
        for (target, mut group) in groups {
            group.depart_with(&mut waiting);
            match target {
                Target::Refused(code) => refuse(&*self.shared.egress, group.iter(), code),
                Target::Inbox(inbox) => {
                    if let Err(Full(mut group)) = self.offer(inbox, group, waker) {
                        let route = served.mark(inbox);
                        group.iter().for_each(|r| left.push(&if r.kind.is_event() { Request { route, ..r } } else { r }));
                        group.take_in_flight().into_iter().for_each(|own| left.depart(own));
                    }
                }
            }
        }
        if left.is_empty() { Ok(()) } else { Err(Full(left)) }
    }
}

fn add<'a>(groups: &mut Vec<(Target<'a>, Requests)>, target: Target<'a>, request: &Request<'_>) {
    if let Some((_, group)) = groups.iter_mut().find(|(t, _)| t.is(&target)) {
        return group.push(request);
    }
    let mut group = Requests::default();
    group.push(request);
    groups.push((target, group));
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}
