//! The place of one instance on its thread: takes what waits for it, calls it, and replaces it when it failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use duet_core::packed::RequestIter;
use duet_core::{Egress, ErrorCode, Request, Requests};

use crate::batch::{BatchLimits, Pending};
use crate::engine::TICK;
use crate::fault::Fault;
use crate::guest::{Guest, Lane, Template};
use crate::inbox::Inbox;
use crate::plugin::{Plugin, refuse};

/// A handler that is linked into the binary: request records in (they may be changed in place), effect records out. The benchmark
/// uses it to tell what the sandbox costs.
pub type NativeHandler = fn(&mut [u8], &mut Vec<u8>);

/// How to make an instance.
#[derive(Clone)]
pub(crate) enum Maker {
    Wasm(Arc<Template>),
    Native(NativeHandler),
}

enum Instance {
    Wasm(Box<Guest>),
    Native(NativeHandler, Vec<u8>),
}

/// One instance with its queue.
pub(crate) struct Slot {
    plugin: Arc<Plugin>,
    pub(crate) inbox: Arc<Inbox>,
    maker: Maker,
    instance: Option<Instance>,
    pending: Pending,
    limits: BatchLimits,
    /// How many requests a call takes now: begins with one and doubles while calls are quick, so that a slow handler never has a
    /// batch that runs out of budget as a whole.
    batch: usize,
    /// How long the guest took in the last call.
    guest_time: Duration,
    shared: Shared,
}

/// What all slots of a runtime use.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) egress: Arc<dyn Egress>,
    /// Requests that were taken from gateways and not handled yet.
    pub(crate) in_flight: Arc<AtomicUsize>,
}

/// Calls longer than this make the next batch smaller.
const SLOW_CALL: Duration = TICK;

impl Slot {
    pub(crate) fn new(plugin: Arc<Plugin>, inbox: Arc<Inbox>, maker: Maker, limits: BatchLimits, shared: Shared) -> Self {
        Self { plugin, inbox, maker, instance: None, pending: Pending::default(), limits, batch: 1, guest_time: Duration::ZERO, shared }
    }

    /// Makes the instance ahead of the first request.
    pub(crate) async fn warm(&mut self) -> Result<(), Fault> {
        if self.instance.is_none() {
            self.instance = Some(match &self.maker {
                Maker::Native(handler) => Instance::Native(*handler, Vec::new()),
                Maker::Wasm(template) => Instance::Wasm(Box::new(match template.lane {
                    Lane::Sync => template.instantiate()?,
                    Lane::Waiting => template.instantiate_async().await?,
                })),
            });
        }
        Ok(())
    }

    /// Makes one call with what is there. False if there was nothing.
    pub(crate) async fn step(&mut self) -> bool {
        if self.pending.is_empty() {
            self.inbox.take(&mut self.pending.chunks);
        }
        let mut pending = std::mem::take(&mut self.pending);
        let limits = BatchLimits { messages: self.batch, ..self.limits };
        let handled = match pending.next(limits) {
            None => 0,
            Some(slice) => {
                let now = Instant::now();
                if self.plugin.is_quarantined() {
                    self.refuse(slice.bytes, ErrorCode::UNAVAILABLE);
                } else if now.duration_since(slice.at) > self.plugin.options.queue_timeout {
                    self.refuse(slice.bytes, ErrorCode::TIMEOUT);
                    self.handle_events(slice.bytes).await;
                } else {
                    self.handle(slice.bytes, slice.messages, now).await;
                    self.adapt();
                }
                slice.messages
            }
        };
        pending.advance();
        self.pending = pending;
        self.shared.in_flight.fetch_sub(handled, Ordering::AcqRel);
        handled > 0
    }

    /// Only the guest's time counts. Effects that take long, a message to thousands, take less for each in a large batch.
    fn adapt(&mut self) {
        self.batch = if self.guest_time > SLOW_CALL { self.batch / 2 } else { self.batch * 2 }.clamp(1, self.limits.messages);
    }

    async fn handle(&mut self, requests: &[u8], messages: usize, now: Instant) {
        let Err(fault) = self.call(requests, now).await else { return };
        if messages == 1 {
            self.failed(requests, &fault);
            return;
        }
        // One of them is to blame: handle each alone, in the new instance.
        let mut to_blame = false;
        let mut iter = RequestIter::new(requests);
        loop {
            let rest = iter.rest();
            if iter.next().is_none() {
                break;
            }
            let alone = rest.get(..rest.len() - iter.rest().len()).unwrap_or_default();
            if self.plugin.is_quarantined() {
                self.refuse(alone, ErrorCode::UNAVAILABLE);
            } else if let Err(fault) = self.call(alone, Instant::now()).await {
                to_blame = true;
                self.failed(alone, &fault);
            }
        }
        // Alone, each was within its limits: only the batch was too much. A trap that does not come again is another matter.
        if !to_blame {
            self.batch = 1;
            if matches!(fault, Fault::Trap(_)) {
                self.plugin.fault(&fault, None);
            }
        }
    }

    /// Handles the events among requests that are refused for their age: a plugin that counts on them gets all of them.
    async fn handle_events(&mut self, requests: &[u8]) {
        let mut events = Requests::default();
        RequestIter::new(requests).filter(|r| r.kind.is_event()).for_each(|event| events.push(&event));
        if !events.is_empty() {
            self.handle(events.bytes(), events.len(), Instant::now()).await;
        }
    }

    /// Calls the instance and applies its effects, all or none. After a fault the instance is gone.
    async fn call(&mut self, requests: &[u8], begun: Instant) -> Result<(), Fault> {
        let ran = self.run(requests).await;
        self.guest_time = begun.elapsed();
        let called = ran.and_then(|list| self.plugin.apply(&*self.shared.egress, requests, &list));
        if called.is_err() {
            self.instance = None;
        }
        called
    }

    async fn run(&mut self, requests: &[u8]) -> Result<Vec<u8>, Fault> {
        self.warm().await?;
        match (&mut self.instance, &self.maker) {
            (Some(Instance::Wasm(guest)), Maker::Wasm(template)) => match template.lane {
                Lane::Sync => guest.call(requests),
                Lane::Waiting => guest.call_async(requests).await,
            },
            (Some(Instance::Native(handler, memory)), _) => {
                memory.clear();
                memory.extend_from_slice(requests);
                let mut list = Vec::with_capacity(requests.len());
                handler(memory, &mut list);
                Ok(list)
            }
            _ => Err(Fault::Start("there is none".to_owned())),
        }
    }

    fn failed(&self, request: &[u8], fault: &Fault) {
        let first: Option<Request<'_>> = RequestIter::new(request).next();
        self.plugin.fault(fault, first.as_ref());
        self.refuse(request, fault.code());
    }

    fn refuse(&self, requests: &[u8], code: ErrorCode) {
        refuse(&*self.shared.egress, RequestIter::new(requests), code);
    }

    /// Ends the instance in good order.
    pub(crate) async fn stop(&mut self) {
        if let (Some(Instance::Wasm(guest)), Maker::Wasm(template)) = (self.instance.take(), &self.maker) {
            match template.lane {
                Lane::Sync => guest.stop(),
                Lane::Waiting => guest.stop_async().await,
            }
        }
    }
}
