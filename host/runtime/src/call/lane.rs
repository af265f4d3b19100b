//! The two ways to call a component, behind one interface: the caller does not see which it is.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::Handle;
use wasmtime::Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentNamedList, Instance, InstancePre, Lift, Lower, TypedFunc};

use crate::call::meter::{alone, within};
use crate::host::state::HostState;

/// How a plugin's calls are made. What only the waiting lane needs is boxed, because a future is moved with everything it may ever hold.
#[derive(Clone, Debug)]
pub(crate) enum Lane {
    /// Plain calls, which never wait: the component imports nothing that could.
    Sync,
    /// On a fiber, so that its thread goes on with other plugins while it waits. These timers end its naps.
    Waiting(Handle),
}

impl Lane {
    /// The lane of a component: it waits if it can subscribe to a clock.
    pub(crate) fn of(component: &Component, timers: &Handle) -> Self {
        let engine = component.engine();
        let waits = component.component_type().imports(engine).any(|(name, import)| match import.ty {
            ComponentItem::ComponentInstance(instance) if name.starts_with("wasi:clocks/monotonic-clock@") => {
                instance.exports(engine).any(|(function, _)| function.starts_with("subscribe"))
            }
            _ => false,
        });
        if waits { Self::Waiting(timers.clone()) } else { Self::Sync }
    }

    /// Whether its calls may wait.
    pub(crate) const fn waits(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }

    /// A new instance.
    pub(crate) async fn instantiate(&self, pre: &InstancePre<HostState>, store: &mut Store<HostState>) -> wasmtime::Result<Instance> {
        match self {
            Self::Sync => pre.instantiate(store),
            Self::Waiting(_) => pre.instantiate_async(store).await,
        }
    }

    /// Calls a function.
    pub(crate) async fn call<P, R>(&self, function: TypedFunc<P, R>, store: &mut Store<HostState>, parameters: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        match self {
            Self::Sync => function.call(store, parameters),
            Self::Waiting(_) => Box::pin(function.call_async(store, parameters)).await,
        }
    }

    /// Makes such calls, waiting at most this long for them to end; `None` if they do not. In the lane that never waits, only the budget
    /// ends a call.
    pub(crate) async fn bounded<T>(&self, wait: Duration, calls: impl Future<Output = T>) -> Option<T> {
        match self {
            Self::Sync => Some(calls.await),
            Self::Waiting(timers) => Box::pin(within(timers, wait, alone(calls))).await,
        }
    }
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs calls of either lane on this thread until they are done. It must not be a thread of tokio's: output of a guest in the synchronous
/// lane blocks on tokio, which does not allow that on its own threads.
pub(crate) fn wait_here<T>(calls: impl Future<Output = T>) -> T {
    let mut calls = pin!(calls);
    // Most calls wait for nothing, so no waker is made for them.
    if let Poll::Ready(done) = calls.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return done;
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(done) = calls.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        thread::park();
    }
}
