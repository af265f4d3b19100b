//! A component that is ready to be instantiated.

use std::sync::Arc;
use std::time::Duration;

use duet_core::LIST_BYTES_MAX;
use tokio::runtime::Handle;
use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre};
use wasmtime::{Store, UpdateDeadline};

use crate::call::fault::{Fault, lifecycle_failure, too_long};
use crate::call::guest::{
    BatchIn, BatchOut, Entry, EventIn, Guest, LIFECYCLE_BUDGET, RestoreIn, RestoreOut, SingleIn, SingleOut, StateCalls, begin,
};
use crate::call::lane::Lane;
use crate::call::state::{StateBudget, carry};
use crate::host::Linkers;
use crate::host::context::Context;
use crate::host::state::HostState;
use crate::load::contract::{BATCH_HANDLER, EVENT_HANDLER, HANDLER, LIFECYCLE, STATE};
use crate::load::world::{Handlers, world_of};
use crate::options::PluginOptions;

/// A linked component, and where its entry points are.
pub(crate) struct Template {
    pre: InstancePre<HostState>,
    entry: EntryIndex,
    lifecycle: LifecycleIndex,
    state: Option<StateIndex>,
    lane: Lane,
    context: Arc<Context>,
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

#[derive(Clone, Copy)]
struct StateIndex {
    save: ComponentExportIndex,
    restore: ComponentExportIndex,
}

impl Template {
    /// Links a component; `timers` end the naps of one that waits. The error names the import or export that does not fit.
    pub(crate) fn new(
        linkers: &Linkers,
        component: &Component,
        context: Arc<Context>,
        options: PluginOptions,
        timers: &Handle,
    ) -> Result<Self, String> {
        let lane = Lane::of(component, timers);
        let pre = linkers.of(&lane).instantiate_pre(component).map_err(|e| format!("{e:#}"))?;
        let need = |interface: &str, function: &str| {
            let found = component.get_export_index(None, interface).and_then(|at| component.get_export_index(Some(&at), function));
            found.ok_or_else(|| format!("interface `{interface}` has no function `{function}`"))
        };
        let world = world_of(|interface| component.get_export_index(None, interface).is_some());
        let handlers = world.map_err(|_| "it is of no world that this host serves".to_owned())?.handlers;
        let entry = match handlers {
            Handlers::Batch => EntryIndex::Batch(need(BATCH_HANDLER, "handle-batch")?),
            Handlers::Single { events } => EntryIndex::Single {
                handle: need(HANDLER, "handle")?,
                event: events.then(|| need(EVENT_HANDLER, "handle-event")).transpose()?,
            },
        };
        let lifecycle =
            LifecycleIndex { describe: need(LIFECYCLE, "describe")?, start: need(LIFECYCLE, "start")?, stop: need(LIFECYCLE, "stop")? };
        let state = match component.get_export_index(None, STATE) {
            None => None,
            Some(_) => Some(StateIndex { save: need(STATE, "save")?, restore: need(STATE, "restore")? }),
        };
        Ok(Self { pre, entry, lifecycle, state, lane, context, options })
    }

    /// How it is called.
    pub(crate) const fn handlers(&self) -> Handlers {
        match self.entry {
            EntryIndex::Batch(_) => Handlers::Batch,
            EntryIndex::Single { event, .. } => Handlers::Single { events: event.is_some() },
        }
    }

    /// Bytes of all memories and tables of all instances.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.context.memory.bytes()
    }

    /// Whether it can save and restore its state.
    pub(crate) const fn has_state(&self) -> bool {
        self.state.is_some()
    }

    /// Whether its calls may wait.
    pub(crate) const fn waits(&self) -> bool {
        self.lane.waits()
    }

    /// A store whose callback checks the budget each time the epoch deadline is reached. A plain call goes on for as many ticks as its
    /// budget can last. A call on a fiber yields at every tick: only while it is suspended can its timeout be noticed, and another instance
    /// have its turn.
    fn store(&self) -> Store<HostState> {
        let mut store = Store::new(self.pre.engine(), HostState::new(&self.context, &self.options));
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(LIST_BYTES_MAX);
        match self.lane {
            Lane::Sync => store.epoch_deadline_callback(|mut cx| {
                Ok(cx.data_mut().meter.strike().map_or(UpdateDeadline::Interrupt, UpdateDeadline::Continue))
            }),
            Lane::Waiting(_) => store.epoch_deadline_callback(|mut cx| {
                Ok(match cx.data_mut().meter.left() {
                    None => UpdateDeadline::Interrupt,
                    Some(_) => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
                })
            }),
        }
        begin(&mut store, LIFECYCLE_BUDGET);
        store
    }

    /// How long a function of `lifecycle` may take, including its waits.
    fn lifecycle_wait(&self) -> Duration {
        self.options.wait_timeout.max(LIFECYCLE_BUDGET)
    }

    /// What the plugin says of itself, from an instance that is thrown away.
    pub(crate) async fn describe(&self) -> Result<String, String> {
        let Self { pre, lane, lifecycle, .. } = self;
        let (mut store, wait) = (self.store(), self.lifecycle_wait());
        let describe = async {
            let instance = lane.instantiate(pre, &mut store).await?;
            let describe = instance.get_typed_func::<(), (String,)>(&mut store, lifecycle.describe)?;
            lane.call(describe, &mut store, ()).await
        };
        match lane.bounded(wait, describe).await {
            Some(Ok((text,))) => Ok(text),
            Some(Err(error)) => Err(lifecycle_failure("describe", &error, LIFECYCLE_BUDGET, store.data())),
            None => Err(too_long("describe", wait)),
        }
    }

    /// A new instance, started.
    pub(crate) async fn instantiate(&self) -> Result<Guest, Fault> {
        let Self { pre, lane, lifecycle, .. } = self;
        let (mut store, wait) = (self.store(), self.lifecycle_wait());
        let start = async {
            let instance = lane.instantiate(pre, &mut store).await?;
            let start = instance.get_typed_func::<(), (Result<(), String>,)>(&mut store, lifecycle.start)?;
            Ok((instance, lane.call(start, &mut store, ()).await?.0))
        };
        match lane.bounded(wait, start).await {
            Some(started) => self.guest(store, started),
            None => Err(Fault::Start(too_long("start", wait))),
        }
    }

    /// Starts an instance and ends it, to see whether that works. Returns why it did not end in good order, if it started at all.
    pub(crate) async fn try_start(&self) -> Result<Option<String>, Fault> {
        Ok(self.instantiate().await?.stop().await.err())
    }

    /// Saves the state that a new instance has, and restores it in another.
    pub(crate) async fn try_state(&self, schema: u32) -> Result<(), String> {
        let (from, to) = (self.instantiate().await, self.instantiate().await);
        let (mut from, mut to) = from.and_then(|from| Ok((from, to?))).map_err(|fault| fault.to_string())?;
        let budget = StateBudget::new(self.options.state_timeout);
        carry(&mut from, &mut to, schema, &budget, |_| Ok(())).await.map_err(|error| error.to_string())?;
        Ok(())
    }

    /// The instance with its entry points, if it has started.
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
        let state = match self.state {
            None => None,
            Some(StateIndex { save, restore }) => {
                let save = instance.get_typed_func(&mut store, save).map_err(failed)?;
                let restore = *instance.get_typed_func::<RestoreIn<'_>, RestoreOut>(&mut store, restore).map_err(failed)?.func();
                Some(StateCalls { save, restore })
            }
        };
        let PluginOptions { call_budget: budget, wait_timeout: wait, .. } = self.options;
        Ok(Guest { store, entry, stop, state, lane: self.lane.clone(), budget, wait })
    }
}
