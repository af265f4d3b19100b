//! The place of one instance on its thread: takes what waits for it, calls it, and replaces it when it failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use duet_core::packed::RequestIter;
use duet_core::{Directory, Egress, ErrorCode, Requests};

use crate::call::engine::TICK;
use crate::call::fault::Fault;
use crate::call::guest::{Guest, Lane, Template};
use crate::host::log::one_line;
use crate::host::state::RECEIVERS_MAX;
use crate::panic::{contained, contained_async, report};
use crate::serve::batch::{BatchLimits, Pending, Slice};
use crate::serve::inbox::Inbox;
use crate::serve::plugin::{Plugin, checked, refuse};

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
    /// How many receivers the messages of that call had.
    receivers: usize,
    /// Calls of the instance so far, and the memory it had when it was new, or when it was last to be replaced.
    calls: u64,
    memory_bytes: usize,
    /// An instance did not end in good order, and the log has said so.
    ends_badly: bool,
    shared: Shared,
}

/// What all slots of a runtime use.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) directory: Arc<dyn Directory>,
    /// Requests that were taken from gateways and not handled yet.
    pub(crate) in_flight: Arc<AtomicUsize>,
}

/// Calls longer than this make the next batch smaller.
const SLOW_CALL: Duration = TICK;

impl Slot {
    pub(crate) fn new(plugin: Arc<Plugin>, inbox: Arc<Inbox>, maker: Maker, limits: BatchLimits, shared: Shared) -> Self {
        Self {
            plugin,
            inbox,
            maker,
            instance: None,
            pending: Pending::default(),
            limits,
            batch: 1,
            guest_time: Duration::ZERO,
            receivers: 0,
            calls: 0,
            memory_bytes: 0,
            ends_badly: false,
            shared,
        }
    }

    /// Makes the instance ahead of the first request.
    pub(crate) async fn warm(&mut self) -> Result<(), Fault> {
        if self.instance.is_none() {
            let instance = self.maker.make().await?;
            self.replace(instance);
        }
        Ok(())
    }

    /// Puts a new instance into the place of one that may be there, which is returned.
    fn replace(&mut self, instance: Instance) -> Option<Instance> {
        (self.calls, self.memory_bytes) = (0, instance.memory_bytes());
        self.instance.replace(instance)
    }

    /// Makes one call with what is there. False if there was nothing.
    pub(crate) async fn step(&mut self) -> bool {
        if self.pending.is_empty() {
            self.inbox.take(&mut self.pending.chunks);
        }
        if self.pending.is_empty() {
            return false;
        }
        let mut pending = std::mem::take(&mut self.pending);
        let limits = BatchLimits { messages: self.batch, ..self.limits };
        let now = Instant::now();
        let oldest = now.checked_sub(self.plugin.options.queue_timeout);
        let mut handled = 0;
        if let Some(slice) = pending.next(limits, oldest) {
            // What a call can make panic is contained in `call`. This is for the rest, so that nothing is counted or kept wrong after.
            if let Err(panic) = contained_async(self.serve(slice, now)).await {
                self.instance = None;
                report("a slot", &panic);
                self.refuse(slice.bytes, ErrorCode::PLUGIN_FAULT);
            }
            handled = slice.messages;
        }
        pending.advance();
        self.pending = pending;
        self.shared.in_flight.fetch_sub(handled, Ordering::AcqRel);
        handled > 0
    }

    async fn serve(&mut self, slice: Slice<'_>, now: Instant) {
        if self.plugin.is_quarantined() {
            self.refuse(slice.bytes, ErrorCode::UNAVAILABLE);
        } else if slice.is_late {
            self.refuse(slice.bytes, ErrorCode::TIMEOUT);
            self.handle_events(slice.bytes).await;
        } else {
            self.handle(slice.bytes, slice.messages, now).await;
            self.adapt();
            self.recycle().await;
        }
    }

    /// Only the guest's time counts. Effects that take long, a message to thousands, take less for each in a large batch, up to a number.
    fn adapt(&mut self) {
        let slow = self.guest_time > SLOW_CALL || self.receivers > RECEIVERS_MAX;
        self.batch = if slow { self.batch / 2 } else { self.batch * 2 }.clamp(1, self.limits.messages);
    }

    /// Replaces an instance that has reached a limit of its plugin, between two calls. The new one comes first: if it does not start, the old
    /// one goes on until it has done, or grown, as much again.
    async fn recycle(&mut self) {
        let options = &self.plugin.options;
        let Some(instance) = &self.instance else { return };
        let bytes = instance.memory_bytes();
        let grown = options.recycle_memory.is_some_and(|limit| bytes >= limit) && bytes > self.memory_bytes;
        if !grown && options.recycle_calls.is_none_or(|limit| self.calls < limit) {
            return;
        }
        tracing::debug!(plugin = %self.plugin.name, calls = self.calls, bytes, "instance is recycled");
        match contained_async(self.maker.make()).await.unwrap_or_else(|panic| Err(Fault::Panic(panic))) {
            Ok(new) => {
                if let Some(old) = self.replace(new)
                    && let Err(panic) = contained_async(self.end(old)).await
                {
                    report("the host in `stop`", &panic);
                }
            }
            Err(fault) => {
                (self.calls, self.memory_bytes) = (0, bytes);
                tracing::warn!(plugin = %self.plugin.name, "instance is not recycled: {}", one_line(&fault.to_string()));
            }
        }
    }

    async fn handle(&mut self, requests: &[u8], messages: usize, now: Instant) {
        let Err(fault) = self.call(requests, now).await else { return };
        if messages == 1 || matches!(fault, Fault::Gate(_)) {
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
        // Alone, each was within its limits: only the batch was too much. A trap that does not come again is another matter. The memory of
        // the instance is gone in any case, so the log tells of it.
        if !to_blame {
            self.batch = 1;
            if matches!(fault, Fault::Trap(_) | Fault::Stack { .. } | Fault::Memory { .. } | Fault::Panic(_)) {
                self.plugin.fault(&fault, requests);
            } else {
                self.plugin.log(&fault, requests);
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
        let ran = contained_async(self.run(requests)).await.unwrap_or_else(|panic| Err(Fault::Panic(panic)));
        self.guest_time = begun.elapsed();
        let called = ran.and_then(|list| self.apply(requests, &list));
        if called.is_err() {
            self.instance = None;
        }
        called
    }

    fn apply(&mut self, requests: &[u8], list: &[u8]) -> Result<(), Fault> {
        let Shared { egress, directory, .. } = &self.shared;
        let applied = contained(|| {
            let (effects, receivers) = checked(&**directory, requests, list)?;
            egress.apply(&effects);
            Ok(receivers)
        });
        self.receivers = applied.unwrap_or_else(|panic| Err(Fault::Gate(panic)))?;
        Ok(())
    }

    async fn run(&mut self, requests: &[u8]) -> Result<Vec<u8>, Fault> {
        self.warm().await?;
        self.calls += 1;
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

    fn failed(&self, requests: &[u8], fault: &Fault) {
        self.plugin.fault(fault, requests);
        self.refuse(requests, fault.code());
    }

    fn refuse(&self, requests: &[u8], code: ErrorCode) {
        refuse(&*self.shared.egress, RequestIter::new(requests), code);
    }

    /// Ends the instance in good order.
    pub(crate) async fn stop(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.end(instance).await;
        }
    }

    /// Lets an instance run `stop`. That it did not is said once: one that is recycled often would fill the log.
    async fn end(&mut self, instance: Instance) {
        if let Err(why) = self.maker.end(instance).await
            && !std::mem::replace(&mut self.ends_badly, true)
        {
            tracing::warn!(plugin = %self.plugin.name, "instance did not end in good order: {}", one_line(&why));
        }
    }
}

impl Maker {
    /// A new instance, started.
    async fn make(&self) -> Result<Instance, Fault> {
        Ok(match self {
            Self::Native(handler) => Instance::Native(*handler, Vec::new()),
            Self::Wasm(template) => Instance::Wasm(Box::new(match template.lane {
                Lane::Sync => template.instantiate()?,
                Lane::Waiting => template.instantiate_async().await?,
            })),
        })
    }

    /// Ends one in good order, or says why it did not.
    async fn end(&self, instance: Instance) -> Result<(), String> {
        match (instance, self) {
            (Instance::Wasm(guest), Self::Wasm(template)) => match template.lane {
                Lane::Sync => guest.stop(),
                Lane::Waiting => guest.stop_async().await,
            },
            _ => Ok(()),
        }
    }
}

impl Instance {
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Wasm(guest) => guest.memory_bytes(),
            Self::Native(..) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::task::Waker;

    use duet_core::{Action, ConnId, Counts, Effect, Presence, Request, RequestKind, Route, Seq, Uid};
    use wasmtime::component::Component;

    use super::*;
    use crate::host::Linkers;
    use crate::host::context::Context;
    use crate::load::contract::CONTRACT;
    use crate::options::PluginOptions;
    use crate::serve::inbox::Signal;
    use crate::serve::worker::at_once;

    /// A gate where nobody is, which keeps the codes it is told, 0 for a reply.
    #[derive(Default)]
    struct Gate(Mutex<Vec<u16>>);

    impl Egress for Gate {
        fn apply(&self, effects: &[Effect<'_>]) {
            self.0.lock().unwrap().extend(effects.iter().filter_map(|effect| match effect.action {
                Action::Reply(_) => Some(0),
                Action::Error(code, _) => Some(code.0),
                _ => None,
            }));
        }
    }

    impl Directory for Gate {
        fn presence(&self, _uid: Uid) -> Presence {
            Presence::Offline
        }
        fn conn_of(&self, _uid: Uid) -> Option<ConnId> {
            None
        }
        fn uid_of(&self, _conn: ConnId) -> Option<Uid> {
            None
        }
        fn address(&self, _conn: ConnId) -> Option<SocketAddr> {
            None
        }
        fn counts(&self) -> Counts {
            Counts::default()
        }
        fn member_count(&self, _channel: &str) -> usize {
            0
        }
        fn members(&self, _channel: &str, _max: usize) -> Vec<ConnId> {
            Vec::new()
        }
    }

    /// Where each import is called: by a message on this route.
    const SINGLE: [(i32, &str, &str); 7] = [
        (208, "log", "write"),
        (201, "clock", "now-ms"),
        (201, "clock", "monotonic-us"),
        (202, "random", "bytes"),
        (203, "random", "number"),
        (204, "text", "decode"),
        (205, "text", "encode"),
    ];
    const GATEWAY: [&str; 12] = [
        "push",
        "push-uid",
        "multicast",
        "multicast-uids",
        "broadcast",
        "publish",
        "subscribe",
        "unsubscribe",
        "bind",
        "unbind",
        "kick",
        "kick-uid",
    ];
    const SESSIONS: [&str; 7] = ["online", "connection", "uid", "address", "count", "member-count", "members"];

    /// A slot whose plugin has one import that panics.
    fn slot(text: &str, interface: &str, function: &str) -> (Slot, Arc<Gate>) {
        let engine = crate::call::engine::engine().unwrap();
        let mut linkers = Linkers::new(&engine).unwrap();
        linkers.sync.allow_shadowing(true);
        let mut instance = linkers.sync.instance(&format!("duet:plugin/{interface}@{CONTRACT}")).unwrap();
        instance.func_new(function, |_, _, _, _| panic!("injected into an import")).unwrap();
        let gate = Arc::<Gate>::default();
        let options = PluginOptions { faults_max: 1000, ..PluginOptions::default() };
        let context = Context::new("test", &options, &(Arc::clone(&gate) as _)).unwrap();
        let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let template = Template::new(&linkers, &component, context, options.clone()).unwrap();
        let inbox = Inbox::new(Signal::Worker(Arc::default(), 0), 100, 1 << 20);
        let plugin = Arc::new(Plugin::new("test", "1".to_owned(), options, vec![Arc::clone(&inbox)]));
        let shared = Shared { egress: Arc::clone(&gate) as _, directory: Arc::clone(&gate) as _, in_flight: Arc::default() };
        let limits = BatchLimits { messages: 32, bytes: 1 << 16 };
        (Slot::new(plugin, inbox, Maker::Wasm(Arc::new(template)), limits, shared), gate)
    }

    /// What messages on these routes are answered, all in one read.
    fn answers(slot: &mut Slot, gate: &Gate, routes: &[i32]) -> Vec<u16> {
        let mut requests = Requests::default();
        for (route, seq) in routes.iter().zip(1..) {
            let (kind, body) = (RequestKind::Message, [0; 16].as_slice());
            requests.push(&Request { kind, conn: ConnId(5), uid: None, route: Route(*route), seq: Seq(seq), body });
        }
        slot.shared.in_flight.fetch_add(requests.len(), Ordering::AcqRel);
        slot.inbox.offer(requests, Waker::noop()).unwrap();
        while at_once(slot.step()).unwrap() {}
        assert_eq!(slot.shared.in_flight.load(Ordering::Acquire), 0);
        std::mem::take(&mut gate.0.lock().unwrap())
    }

    #[test]
    fn a_panic_in_any_import_is_a_fault_of_one_message() {
        let fault = ErrorCode::PLUGIN_FAULT.0;
        let text = include_str!("../../../testkit/fixtures/single/single.wat");
        for (route, interface, function) in SINGLE {
            let (mut slot, gate) = slot(text, interface, function);
            assert_eq!(answers(&mut slot, &gate, &[211, route, 211, 211, 211, route, 211]), [0, fault, 0, 0, 0, fault, 0], "{function}");
        }
        let text = include_str!("../../../testkit/fixtures/gate/gate.wat");
        let gateway = GATEWAY.map(|function| ("gateway", function));
        let sessions = SESSIONS.map(|function| ("sessions", function));
        for ((interface, function), route) in gateway.into_iter().chain(sessions).zip(300..) {
            let (mut slot, gate) = slot(text, interface, function);
            assert_eq!(answers(&mut slot, &gate, &[319, route, 319, 319, 319, route, 319]), [0, fault, 0, 0, 0, fault, 0], "{function}");
        }
    }

    /// A log that panics, and so does whoever writes to it.
    struct Broken;

    impl tracing::Subscriber for Broken {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            panic!("injected into the log");
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn a_log_that_panics_over_a_fault_costs_nothing_more_than_the_fault() {
        // The import that panics is not called.
        let (mut slot, gate) = slot(include_str!("../../../testkit/fixtures/single/single.wat"), "random", "number");
        tracing::subscriber::with_default(Broken, || {
            for _ in 0..3 {
                assert_eq!(answers(&mut slot, &gate, &[211, 207]), [0, ErrorCode::PLUGIN_FAULT.0]);
            }
        });
        assert_eq!(answers(&mut slot, &gate, &[211, 208]), [0, 0]);
        assert_eq!(slot.plugin.health.faults(), 3);
    }

    #[test]
    fn a_panic_while_an_instance_starts_is_a_fault_of_each_message_that_needs_one() {
        let (mut slot, gate) = slot(include_str!("../../../testkit/fixtures/single/single.wat"), "config", "get");
        assert_eq!(answers(&mut slot, &gate, &[211, 211]), [ErrorCode::PLUGIN_FAULT.0; 2]);
    }
}
