//! One running instance: its store, its entry points, and a call with its budget.

use std::time::Duration;

use duet_core::packed::{EffectRecord, RequestIter, put_effect, put_rest};
use duet_core::{Action, EFFECT_BYTES_MAX, Request};
use wasmtime::Store;
use wasmtime::component::{Func, TypedFunc};

use crate::call::fault::{Fault, lifecycle_failure, too_long};
use crate::call::lane::Lane;
use crate::host::state::HostState;

/// Budget of `describe`, `start` and `stop`. A plugin that waits gets `wait_timeout` if that is longer.
pub(crate) const LIFECYCLE_BUDGET: Duration = Duration::from_secs(1);

pub(crate) type BatchIn<'a> = (&'a [u8],);
pub(crate) type BatchOut = (Vec<u8>,);
pub(crate) type SingleIn<'a> = (u64, i64, i32, i32, &'a [u8]);
pub(crate) type SingleOut = (Result<Vec<u8>, String>,);
pub(crate) type EventIn<'a> = (u32, u64, i64, &'a str);

pub(crate) type SaveOut = (Result<Vec<u8>, String>,);
pub(crate) type RestoreIn<'a> = (u32, u32, &'a [u8]);
pub(crate) type RestoreOut = (Result<(), String>,);

/// The functions of `state`.
#[derive(Clone, Copy)]
pub(crate) struct StateCalls {
    pub(crate) save: TypedFunc<(u32,), SaveOut>,
    /// As with other entry points, its type names the lifetime of what it borrows.
    pub(crate) restore: Func,
}

/// A running instance. After a fault it must be dropped: a trap poisons its store.
pub(crate) struct Guest {
    pub(crate) store: Store<HostState>,
    pub(crate) entry: Entry,
    pub(crate) stop: TypedFunc<(), ()>,
    pub(crate) state: Option<StateCalls>,
    pub(crate) lane: Lane,
    pub(crate) budget: Duration,
    pub(crate) wait: Duration,
}

/// A typed function names the lifetime of what its parameters borrow, so only the untyped one can be kept. Giving it its type in each call
/// takes some 10 ns.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    Batch(Func),
    Single { handle: Func, event: Option<Func> },
}

impl Guest {
    /// Handles request records and returns effect records.
    pub(crate) async fn call(&mut self, requests: &[u8]) -> Result<Vec<u8>, Fault> {
        let Self { store, entry, lane, budget, wait, .. } = self;
        begin(store, *budget);
        match lane.bounded(*wait, run(lane, store, *entry, requests)).await {
            Some(ran) => ran.map_err(|error| Fault::from_call(&error, *budget, store.data())),
            None => Err(Fault::Wait(*wait)),
        }
    }

    /// Bytes of all memories and tables.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().limits.bytes()
    }

    /// Lets the guest end in good order. The error says why it did not.
    pub(crate) async fn stop(mut self) -> Result<(), String> {
        begin(&mut self.store, LIFECYCLE_BUDGET);
        let wait = self.wait.max(LIFECYCLE_BUDGET);
        match self.lane.bounded(wait, self.lane.call(self.stop, &mut self.store, ())).await {
            Some(stopped) => stopped.map_err(|error| lifecycle_failure("stop", &error, LIFECYCLE_BUDGET, self.store.data())),
            None => Err(too_long("stop", wait)),
        }
    }
}

/// Prepares a call: it is first checked when the next tick strikes, and what the call before left behind is cleared.
pub(crate) fn begin(store: &mut Store<HostState>, budget: Duration) {
    store.set_epoch_deadline(1);
    store.data_mut().begin(budget);
}

/// Makes one call with all requests, or a call for each. Either may leave some of them.
async fn run(lane: &Lane, store: &mut Store<HostState>, entry: Entry, requests: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let (handle, event) = match entry {
        Entry::Batch(handle) => {
            let handle = handle.typed::<BatchIn<'_>, BatchOut>(&*store)?;
            let (list,) = lane.call(handle, store, (requests,)).await?;
            return Ok(with_imported(store.data_mut(), list));
        }
        Entry::Single { handle, event } => (handle, event),
    };
    for (index, request) in RequestIter::new(requests).enumerate() {
        let state = store.data_mut();
        // What the requests before this one made is not to be in its way.
        if state.effects.len() >= EFFECT_BYTES_MAX {
            put_rest(&mut state.effects, index);
            break;
        }
        state.begin_request(index);
        if request.kind.is_event() {
            let Some(event) = event else { continue };
            let event = event.typed::<EventIn<'_>, ()>(&*store)?;
            lane.call(event, store, event_in(&request)).await?;
        } else {
            let handle = handle.typed::<SingleIn<'_>, SingleOut>(&*store)?;
            let (answer,) = lane.call(handle, store, single_in(&request)).await?;
            put_answer(store.data_mut(), index, &answer);
        }
    }
    Ok(std::mem::take(&mut store.data_mut().effects))
}

fn single_in<'a>(request: &Request<'a>) -> SingleIn<'a> {
    (request.conn.0, request.uid.map_or(0, |u| u.0), request.route.0, request.seq.0, request.body)
}

fn event_in<'a>(request: &Request<'a>) -> EventIn<'a> {
    (request.kind as u32, request.conn.0, request.uid.map_or(0, |u| u.0), std::str::from_utf8(request.body).unwrap_or_default())
}

fn put_answer(state: &mut HostState, request: usize, answer: &Result<Vec<u8>, String>) {
    let action = match answer {
        Ok(body) => Action::Reply(body),
        Err(message) => Action::Error(state.error_code, message),
    };
    put_effect(&mut state.effects, &EffectRecord { request, action });
}

/// Effects made through imports come before those in the returned list.
fn with_imported(state: &mut HostState, list: Vec<u8>) -> Vec<u8> {
    let imported = &mut state.effects;
    if imported.is_empty() {
        return list;
    }
    imported.extend_from_slice(&list);
    std::mem::take(imported)
}
