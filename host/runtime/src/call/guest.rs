//! One running instance: its store, its entry points, and a call with its budget.

use std::sync::Arc;
use std::time::Duration;

use duet_core::packed::{EffectRecord, RequestIter, put_effect};
use duet_core::{Action, ErrorCode, Request};
use wasmtime::component::{Component, ComponentExportIndex, Func, Instance, InstancePre, TypedFunc};
use wasmtime::{Store, UpdateDeadline};

use crate::call::fault::{Fault, lifecycle_failure, too_long};
use crate::call::meter::{alone, within};
use crate::host::Linkers;
use crate::host::context::Context;
use crate::host::state::{EFFECT_BYTES_MAX, HostState};
use crate::load::contract::{BATCH_HANDLER, EVENT_HANDLER, HANDLER, LIFECYCLE};
use crate::load::manifest::Handlers;
use crate::options::PluginOptions;

/// Budget of `describe`, `start` and `stop`. One that waits may take `wait_timeout` if that is more.
const LIFECYCLE_BUDGET: Duration = Duration::from_secs(1);

type BatchIn<'a> = (&'a [u8],);
type BatchOut = (Vec<u8>,);
type SingleIn<'a> = (u64, i64, i32, i32, &'a [u8]);
type SingleOut = (Result<Vec<u8>, String>,);
type EventIn<'a> = (u32, u64, i64, &'a str);

/// How a plugin's calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Plain calls: it imports nothing that can wait.
    Sync,
    /// On a fiber, so that its thread goes on with other plugins while it waits.
    Waiting,
}

/// A component that is ready to be instantiated.
pub(crate) struct Template {
    pre: InstancePre<HostState>,
    entry: EntryIndex,
    lifecycle: LifecycleIndex,
    pub(crate) lane: Lane,
    pub(crate) context: Arc<Context>,
    options: PluginOptions,
}

#[derive(Clone, Copy)]
enum EntryIndex {
    Batch(ComponentExportIndex),
    Single { handle: ComponentExportIndex, event: Option<ComponentExportIndex> },
}

struct LifecycleIndex {
    describe: ComponentExportIndex,
    start: ComponentExportIndex,
    stop: ComponentExportIndex,
}

impl Template {
    /// Links a component. The error names the import or export that does not fit.
    pub(crate) fn new(linkers: &Linkers, component: &Component, context: Arc<Context>, options: PluginOptions) -> Result<Self, String> {
        let lane = lane(component);
        let linker = match lane {
            Lane::Sync => &linkers.sync,
            Lane::Waiting => &linkers.waiting,
        };
        let pre = linker.instantiate_pre(component).map_err(|e| format!("{e:#}"))?;
        let find = |interface: &str, function: &str| {
            let interface = component.get_export_index(None, interface)?;
            component.get_export_index(Some(&interface), function)
        };
        let need = |interface: &str, function: &str| {
            find(interface, function).ok_or_else(|| format!("interface `{interface}` has no function `{function}`"))
        };
        let entry = match find(BATCH_HANDLER, "handle-batch") {
            Some(index) => EntryIndex::Batch(index),
            None => EntryIndex::Single { handle: need(HANDLER, "handle")?, event: find(EVENT_HANDLER, "handle-event") },
        };
        let lifecycle =
            LifecycleIndex { describe: need(LIFECYCLE, "describe")?, start: need(LIFECYCLE, "start")?, stop: need(LIFECYCLE, "stop")? };
        Ok(Self { pre, entry, lifecycle, lane, context, options })
    }

    /// How it is called.
    pub(crate) const fn handlers(&self) -> Handlers {
        match self.entry {
            EntryIndex::Batch(_) => Handlers::Batch,
            EntryIndex::Single { event, .. } => Handlers::Single { events: event.is_some() },
        }
    }

    fn store(&self) -> Store<HostState> {
        let mut store = Store::new(self.pre.engine(), HostState::new(&self.context, &self.options));
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(EFFECT_BYTES_MAX);
        match self.lane {
            Lane::Sync => store.epoch_deadline_callback(|mut cx| {
                Ok(cx.data_mut().meter.strike().map_or(UpdateDeadline::Interrupt, UpdateDeadline::Continue))
            }),
            Lane::Waiting => store.epoch_deadline_callback(|mut cx| {
                Ok(match cx.data_mut().meter.left() {
                    None => UpdateDeadline::Interrupt,
                    Some(_) => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
                })
            }),
        }
        begin(&mut store, LIFECYCLE_BUDGET);
        store
    }

    /// How long `describe`, `start` and `stop` may take with all their waiting.
    fn lifecycle_wait(&self) -> Duration {
        self.options.wait_timeout.max(LIFECYCLE_BUDGET)
    }

    /// What the plugin says of itself, from an instance that is thrown away. Call it outside of any runtime.
    pub(crate) fn describe(&self, runtime: &tokio::runtime::Runtime) -> Result<String, String> {
        let mut store = self.store();
        let called = match self.lane {
            Lane::Sync => self.pre.instantiate(&mut store).and_then(|instance| {
                let describe = instance.get_typed_func::<(), (String,)>(&mut store, self.lifecycle.describe)?;
                describe.call(&mut store, ())
            }),
            Lane::Waiting => {
                let call = alone(async {
                    let instance = self.pre.instantiate_async(&mut store).await?;
                    let describe = instance.get_typed_func::<(), (String,)>(&mut store, self.lifecycle.describe)?;
                    describe.call_async(&mut store, ()).await
                });
                let wait = self.lifecycle_wait();
                match runtime.block_on(within(wait, call)) {
                    Some(called) => called,
                    None => return Err(too_long("describe", wait)),
                }
            }
        };
        called.map(|(text,)| text).map_err(|e| lifecycle_failure("describe", &e, LIFECYCLE_BUDGET, store.data()))
    }

    /// A new instance, started.
    pub(crate) fn instantiate(&self) -> Result<Guest, Fault> {
        let mut store = self.store();
        let started = self.pre.instantiate(&mut store).and_then(|instance| {
            let start = instance.get_typed_func::<(), (Result<(), String>,)>(&mut store, self.lifecycle.start)?;
            Ok((instance, start.call(&mut store, ())?.0))
        });
        self.guest(store, started)
    }

    /// The same in the asynchronous lane.
    pub(crate) async fn instantiate_async(&self) -> Result<Guest, Fault> {
        let mut store = self.store();
        let start = alone(async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let start = instance.get_typed_func::<(), (Result<(), String>,)>(&mut store, self.lifecycle.start)?;
            Ok((instance, start.call_async(&mut store, ()).await?.0))
        });
        let wait = self.lifecycle_wait();
        match within(wait, start).await {
            Some(started) => self.guest(store, started),
            None => Err(Fault::Start(too_long("start", wait))),
        }
    }

    /// Starts an instance, to see whether it can be done, and ends it.
    pub(crate) fn try_start(&self, runtime: &tokio::runtime::Runtime) -> Result<(), Fault> {
        match self.lane {
            Lane::Sync => self.instantiate().map(|guest| drop(guest.stop())),
            Lane::Waiting => runtime.block_on(async {
                drop(self.instantiate_async().await?.stop_async().await);
                Ok(())
            }),
        }
    }

    /// An instance that may have started, with its entry points.
    fn guest(&self, mut store: Store<HostState>, started: wasmtime::Result<(Instance, Result<(), String>)>) -> Result<Guest, Fault> {
        let (instance, answer) = started.map_err(|e| Fault::Start(lifecycle_failure("start", &e, LIFECYCLE_BUDGET, store.data())))?;
        answer.map_err(|e| Fault::Start(format!("`start` answered: {e}")))?;
        let failed = |e: wasmtime::Error| Fault::Start(format!("{e:#}"));
        let entry = match self.entry {
            EntryIndex::Batch(index) => {
                Entry::Batch(*instance.get_typed_func::<BatchIn<'_>, BatchOut>(&mut store, index).map_err(failed)?.func())
            }
            EntryIndex::Single { handle, event } => {
                let handle = *instance.get_typed_func::<SingleIn<'_>, SingleOut>(&mut store, handle).map_err(failed)?.func();
                let event = event.map(|event| instance.get_typed_func::<EventIn<'_>, ()>(&mut store, event).map(|f| *f.func()));
                Entry::Single { handle, event: event.transpose().map_err(failed)? }
            }
        };
        let stop = instance.get_typed_func(&mut store, self.lifecycle.stop).map_err(failed)?;
        Ok(Guest { store, entry, stop, budget: self.options.call_budget, wait: self.options.wait_timeout })
    }
}

/// A component waits if it can subscribe to a clock or to a socket.
fn lane(component: &Component) -> Lane {
    let engine = component.engine();
    let waits = component.component_type().imports(engine).any(|(name, import)| match import.ty {
        wasmtime::component::types::ComponentItem::ComponentInstance(instance) if name.starts_with("wasi:clocks/monotonic-clock@") => {
            instance.exports(engine).any(|(function, _)| function.starts_with("subscribe"))
        }
        _ => false,
    });
    if waits { Lane::Waiting } else { Lane::Sync }
}

/// A running instance. After a fault it must be dropped: a trap poisons its store.
pub(crate) struct Guest {
    store: Store<HostState>,
    entry: Entry,
    stop: TypedFunc<(), ()>,
    budget: Duration,
    wait: Duration,
}

/// The type of an entry point names the lifetime of what it borrows, so it is tied to the function anew in each call: some 10 ns.
#[derive(Clone, Copy)]
enum Entry {
    Batch(Func),
    Single { handle: Func, event: Option<Func> },
}

impl Guest {
    /// Handles request records and returns effect records.
    pub(crate) fn call(&mut self, requests: &[u8]) -> Result<Vec<u8>, Fault> {
        begin(&mut self.store, self.budget);
        self.run(requests).map_err(|error| self.fault(&error))
    }

    fn run(&mut self, requests: &[u8]) -> wasmtime::Result<Vec<u8>> {
        match self.entry {
            Entry::Batch(handle) => {
                let handle = handle.typed::<BatchIn<'_>, BatchOut>(&self.store)?;
                let (list,) = handle.call(&mut self.store, (requests,))?;
                Ok(self.with_imported(list))
            }
            Entry::Single { handle, event } => {
                for (index, request) in RequestIter::new(requests).enumerate() {
                    let parameters = self.single(index, &request);
                    if request.kind.is_event() {
                        let Some(event) = event else { continue };
                        let event = event.typed::<EventIn<'_>, ()>(&self.store)?;
                        event.call(&mut self.store, event_in(&request))?;
                    } else {
                        let handle = handle.typed::<SingleIn<'_>, SingleOut>(&self.store)?;
                        let (answer,) = handle.call(&mut self.store, parameters)?;
                        self.answer(index, &answer);
                    }
                }
                Ok(std::mem::take(&mut self.store.data_mut().effects))
            }
        }
    }

    /// The same in the asynchronous lane.
    pub(crate) async fn call_async(&mut self, requests: &[u8]) -> Result<Vec<u8>, Fault> {
        begin(&mut self.store, self.budget);
        match within(self.wait, alone(self.run_async(requests))).await {
            Some(ran) => ran.map_err(|error| self.fault(&error)),
            None => Err(Fault::Wait(self.wait)),
        }
    }

    async fn run_async(&mut self, requests: &[u8]) -> wasmtime::Result<Vec<u8>> {
        match self.entry {
            Entry::Batch(handle) => {
                let handle = handle.typed::<BatchIn<'_>, BatchOut>(&self.store)?;
                let (list,) = handle.call_async(&mut self.store, (requests,)).await?;
                Ok(self.with_imported(list))
            }
            Entry::Single { handle, event } => {
                for (index, request) in RequestIter::new(requests).enumerate() {
                    let parameters = self.single(index, &request);
                    if request.kind.is_event() {
                        let Some(event) = event else { continue };
                        let event = event.typed::<EventIn<'_>, ()>(&self.store)?;
                        event.call_async(&mut self.store, event_in(&request)).await?;
                    } else {
                        let handle = handle.typed::<SingleIn<'_>, SingleOut>(&self.store)?;
                        let (answer,) = handle.call_async(&mut self.store, parameters).await?;
                        self.answer(index, &answer);
                    }
                }
                Ok(std::mem::take(&mut self.store.data_mut().effects))
            }
        }
    }

    fn fault(&self, error: &wasmtime::Error) -> Fault {
        Fault::from_call(error, self.budget, self.store.data())
    }

    /// Bytes of all memories and tables.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().limits.bytes()
    }

    fn single<'a>(&mut self, index: usize, request: &Request<'a>) -> SingleIn<'a> {
        let state = self.store.data_mut();
        state.request = index;
        state.effects_count = 0;
        state.receivers = 0;
        state.error_code = ErrorCode::HANDLER;
        (request.conn.0, request.uid.map_or(0, |u| u.0), request.route.0, request.seq.0, request.body)
    }

    /// Effects made through imports come before those in the returned list.
    fn with_imported(&mut self, list: Vec<u8>) -> Vec<u8> {
        let imported = &mut self.store.data_mut().effects;
        if imported.is_empty() {
            return list;
        }
        imported.extend_from_slice(&list);
        std::mem::take(imported)
    }

    fn answer(&mut self, request: usize, answer: &Result<Vec<u8>, String>) {
        let action = match answer {
            Ok(body) => Action::Reply(body),
            Err(message) => Action::Error(self.store.data().error_code, message),
        };
        put_effect(&mut self.store.data_mut().effects, &EffectRecord { request, action });
    }

    /// Lets the guest end in good order. The error says why it did not.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        begin(&mut self.store, LIFECYCLE_BUDGET);
        let stopped = self.stop.call(&mut self.store, ());
        stopped.map_err(|error| self.stop_failure(&error))
    }

    /// The same in the asynchronous lane.
    pub(crate) async fn stop_async(mut self) -> Result<(), String> {
        begin(&mut self.store, LIFECYCLE_BUDGET);
        let wait = self.wait.max(LIFECYCLE_BUDGET);
        match within(wait, alone(self.stop.call_async(&mut self.store, ()))).await {
            Some(stopped) => stopped.map_err(|error| self.stop_failure(&error)),
            None => Err(too_long("stop", wait)),
        }
    }

    fn stop_failure(&self, error: &wasmtime::Error) -> String {
        lifecycle_failure("stop", error, LIFECYCLE_BUDGET, self.store.data())
    }
}

/// Before each call: it is looked at when the next tick strikes, and what the one before left is gone.
fn begin(store: &mut Store<HostState>, budget: Duration) {
    store.set_epoch_deadline(1);
    store.data_mut().begin(budget);
}

fn event_in<'a>(request: &Request<'a>) -> EventIn<'a> {
    (request.kind as u32, request.conn.0, request.uid.map_or(0, |u| u.0), std::str::from_utf8(request.body).unwrap_or_default())
}
