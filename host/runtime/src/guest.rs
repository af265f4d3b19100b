//! One running instance: its store, its entry points, and a call with its budget.

use std::sync::Arc;
use std::time::Duration;

use duet_core::packed::{EffectRecord, RequestIter, put_effect};
use duet_core::{Action, ErrorCode, Request};
use wasmtime::component::{Component, ComponentExportIndex, Func, InstancePre, TypedFunc};
use wasmtime::{Store, UpdateDeadline};

use crate::check::{BATCH_HANDLER, EVENT_HANDLER, HANDLER, LIFECYCLE};
use crate::engine::ticks;
use crate::fault::Fault;
use crate::host::{Context, EFFECT_BYTES_MAX, HostState, Linkers};
use crate::manifest::Handlers;
use crate::options::PluginOptions;

/// Budget of `describe`, `start` and `stop`.
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
        store.set_epoch_deadline(ticks(LIFECYCLE_BUDGET));
        if self.lane == Lane::Waiting {
            store.epoch_deadline_callback(|mut cx| {
                let state = cx.data_mut();
                state.ticks = state.ticks.saturating_sub(1);
                Ok(match state.ticks {
                    0 => UpdateDeadline::Interrupt,
                    _ => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
                })
            });
        }
        store
    }

    /// What the plugin says of itself, from an instance that is thrown away. Call it outside of any runtime.
    pub(crate) fn describe(&self, runtime: &tokio::runtime::Runtime) -> Result<String, String> {
        let mut store = self.store();
        let text = |e: wasmtime::Error| format!("`describe` failed: {e:#}");
        match self.lane {
            Lane::Sync => {
                let instance = self.pre.instantiate(&mut store).map_err(text)?;
                let describe = instance.get_typed_func::<(), (String,)>(&mut store, self.lifecycle.describe).map_err(text)?;
                describe.call(&mut store, ()).map(|(text,)| text).map_err(text)
            }
            Lane::Waiting => runtime.block_on(async {
                store.data_mut().ticks = ticks(LIFECYCLE_BUDGET);
                let call = async {
                    let instance = self.pre.instantiate_async(&mut store).await?;
                    let describe = instance.get_typed_func::<(), (String,)>(&mut store, self.lifecycle.describe)?;
                    describe.call_async(&mut store, ()).await
                };
                match tokio::time::timeout(LIFECYCLE_BUDGET, call).await {
                    Ok(called) => called.map(|(text,)| text).map_err(text),
                    Err(_) => Err(format!("`describe` did not return within {LIFECYCLE_BUDGET:?}")),
                }
            }),
        }
    }

    /// A new instance, started.
    pub(crate) fn instantiate(&self) -> Result<Guest, Fault> {
        let mut store = self.store();
        let failed = |e: wasmtime::Error| Fault::Start(format!("{e:#}"));
        let instance = self.pre.instantiate(&mut store).map_err(failed)?;
        let start = instance.get_typed_func::<(), (Result<(), String>,)>(&mut store, self.lifecycle.start).map_err(failed)?;
        store.set_epoch_deadline(ticks(LIFECYCLE_BUDGET));
        let (started,) = start.call(&mut store, ()).map_err(failed)?;
        started.map_err(|e| Fault::Start(format!("`start` answered: {e}")))?;
        self.guest(store, instance)
    }

    /// The same in the asynchronous lane.
    pub(crate) async fn instantiate_async(&self) -> Result<Guest, Fault> {
        let mut store = self.store();
        store.data_mut().ticks = ticks(LIFECYCLE_BUDGET);
        let failed = |e: wasmtime::Error| Fault::Start(format!("{e:#}"));
        let start = async {
            let instance = self.pre.instantiate_async(&mut store).await.map_err(failed)?;
            let start = instance.get_typed_func::<(), (Result<(), String>,)>(&mut store, self.lifecycle.start).map_err(failed)?;
            let (started,) = start.call_async(&mut store, ()).await.map_err(failed)?;
            started.map_err(|e| Fault::Start(format!("`start` answered: {e}")))?;
            Ok::<_, Fault>(instance)
        };
        let instance = match tokio::time::timeout(LIFECYCLE_BUDGET, start).await {
            Ok(started) => started?,
            Err(_) => return Err(Fault::Start(format!("`start` did not return within {LIFECYCLE_BUDGET:?}"))),
        };
        self.guest(store, instance)
    }

    fn guest(&self, mut store: Store<HostState>, instance: wasmtime::component::Instance) -> Result<Guest, Fault> {
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
    fn begin(&mut self) {
        self.store.set_epoch_deadline(ticks(self.budget));
        let state = self.store.data_mut();
        state.effects.clear();
        state.effects_count = 0;
        state.request = 0;
    }

    fn begin_waiting(&mut self) {
        self.begin();
        self.store.set_epoch_deadline(1);
        self.store.data_mut().ticks = ticks(self.budget);
    }

    /// Handles request records and returns effect records.
    pub(crate) fn call(&mut self, requests: &[u8]) -> Result<Vec<u8>, Fault> {
        self.begin();
        let budget = self.budget;
        let failed = |e: wasmtime::Error| Fault::from_call(&e, budget);
        match self.entry {
            Entry::Batch(handle) => {
                let handle = handle.typed::<BatchIn<'_>, BatchOut>(&self.store).map_err(failed)?;
                let (list,) = handle.call(&mut self.store, (requests,)).map_err(failed)?;
                Ok(self.with_imported(list))
            }
            Entry::Single { handle, event } => {
                for (index, request) in RequestIter::new(requests).enumerate() {
                    let parameters = self.single(index, &request);
                    if request.kind.is_event() {
                        let Some(event) = event else { continue };
                        let event = event.typed::<EventIn<'_>, ()>(&self.store).map_err(failed)?;
                        event.call(&mut self.store, event_in(&request)).map_err(failed)?;
                    } else {
                        let handle = handle.typed::<SingleIn<'_>, SingleOut>(&self.store).map_err(failed)?;
                        let (answer,) = handle.call(&mut self.store, parameters).map_err(failed)?;
                        self.answer(index, &answer);
                    }
                }
                Ok(std::mem::take(&mut self.store.data_mut().effects))
            }
        }
    }

    /// The same in the asynchronous lane.
    pub(crate) async fn call_async(&mut self, requests: &[u8]) -> Result<Vec<u8>, Fault> {
        self.begin_waiting();
        let (budget, wait) = (self.budget, self.wait);
        let failed = |e: wasmtime::Error| Fault::from_call(&e, budget);
        let call = async {
            match self.entry {
                Entry::Batch(handle) => {
                    let handle = handle.typed::<BatchIn<'_>, BatchOut>(&self.store).map_err(failed)?;
                    let (list,) = handle.call_async(&mut self.store, (requests,)).await.map_err(failed)?;
                    Ok(self.with_imported(list))
                }
                Entry::Single { handle, event } => {
                    for (index, request) in RequestIter::new(requests).enumerate() {
                        let parameters = self.single(index, &request);
                        if request.kind.is_event() {
                            let Some(event) = event else { continue };
                            let event = event.typed::<EventIn<'_>, ()>(&self.store).map_err(failed)?;
                            event.call_async(&mut self.store, event_in(&request)).await.map_err(failed)?;
                        } else {
                            let handle = handle.typed::<SingleIn<'_>, SingleOut>(&self.store).map_err(failed)?;
                            let (answer,) = handle.call_async(&mut self.store, parameters).await.map_err(failed)?;
                            self.answer(index, &answer);
                        }
                    }
                    Ok(std::mem::take(&mut self.store.data_mut().effects))
                }
            }
        };
        tokio::time::timeout(wait, call).await.unwrap_or(Err(Fault::Wait(wait)))
    }

    fn single<'a>(&mut self, index: usize, request: &Request<'a>) -> SingleIn<'a> {
        let state = self.store.data_mut();
        state.request = index;
        state.effects_count = 0;
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
            Err(message) => Action::Error(ErrorCode::HANDLER, message),
        };
        put_effect(&mut self.store.data_mut().effects, &EffectRecord { request, action });
    }

    /// Lets the guest end in good order. What goes wrong is of no use to anybody any more.
    pub(crate) fn stop(mut self) {
        self.store.set_epoch_deadline(ticks(LIFECYCLE_BUDGET));
        drop(self.stop.call(&mut self.store, ()));
    }

    /// The same in the asynchronous lane.
    pub(crate) async fn stop_async(mut self) {
        self.store.data_mut().ticks = ticks(LIFECYCLE_BUDGET);
        drop(tokio::time::timeout(LIFECYCLE_BUDGET, self.stop.call_async(&mut self.store, ())).await);
    }
}

fn event_in<'a>(request: &Request<'a>) -> EventIn<'a> {
    (request.kind as u32, request.conn.0, request.uid.map_or(0, |u| u.0), std::str::from_utf8(request.body).unwrap_or_default())
}
