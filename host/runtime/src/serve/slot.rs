//! The place of one instance on its thread: takes what waits for it, calls it, and replaces it when it has failed.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duet_core::packed::RequestIter;
use duet_core::{Action, Directory, Egress, ErrorCode, Outcome, RECEIVERS_MAX, Requests, Source};

use crate::call::engine::TICK;
use crate::call::fault::Fault;
use crate::host::log::one_line;
use crate::panic::{contained, contained_async, report};
use crate::serve::batch::{BatchLimits, Pending, Slice};
use crate::serve::counters::{Counters, Ended};
use crate::serve::hold::Post;
use crate::serve::inbox::Inbox;
use crate::serve::instance::Instance;
use crate::serve::plugin::{Plugin, refuse};
use crate::serve::seat::Serving;

/// One instance with its queue.
pub(crate) struct Slot {
    plugin: Arc<Plugin>,
    inbox: Arc<Inbox>,
    counters: Arc<Counters>,
    instance: Option<Instance>,
    pending: Pending,
    limits: BatchLimits,
    /// How many requests a call takes now: it begins with one and doubles while calls are quick, so that a slow handler never gets a batch
    /// that overruns its budget as a whole.
    batch: usize,
    /// How long the guest took in the last call.
    guest_time: Duration,
    /// How many receivers the messages of that call had.
    receivers: usize,
    /// Calls of the instance, and the memory it had, since it was new, or since it was last to be replaced and could not be.
    calls: u64,
    memory_bytes: usize,
    /// An instance did not end in good order, and the log has said so.
    ends_badly: bool,
    gate: Gate,
    /// Dropped when this slot has ended.
    _serving: Option<Serving>,
}

/// The gate as slots use it.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) directory: Arc<dyn Directory>,
}

/// Calls longer than this make the next batch smaller.
const SLOW_CALL: Duration = TICK;

impl Slot {
    pub(crate) fn new(plugin: Arc<Plugin>, inbox: Arc<Inbox>, counters: Arc<Counters>, limits: BatchLimits, gate: Gate) -> Self {
        Self {
            _serving: plugin.seat.serving(),
            plugin,
            inbox,
            counters,
            instance: None,
            pending: Pending::default(),
            limits,
            batch: 1,
            guest_time: Duration::ZERO,
            receivers: 0,
            calls: 0,
            memory_bytes: 0,
            ends_badly: false,
            gate,
        }
    }

    /// Makes the instance ahead of the first request.
    pub(crate) async fn warm(&mut self) -> Result<(), Fault> {
        if self.instance.is_none() {
            let instance = self.plugin.version.code.instantiate().await?;
            self.replace(instance);
        }
        Ok(())
    }

    /// Puts in a new instance, and returns the one that was there, if any.
    fn replace(&mut self, instance: Instance) -> Option<Instance> {
        (self.calls, self.memory_bytes) = (0, instance.memory_bytes());
        self.instance.replace(instance)
    }

    /// Serves until the inbox is closed and empty: one call, then a turn for whoever else is on this thread. Only between two calls does
    /// the slot wait for requests, and only there may its instance be exchanged.
    pub(crate) async fn serve(mut self) {
        // A slot that panicked may have more to do.
        while contained_async(pin!(self.turn())).await.unwrap_or_else(|panic| {
            report("a slot", &panic);
            true
        }) {
            tokio::task::yield_now().await;
        }
        if let Err(panic) = contained_async(pin!(self.stop())).await {
            report("a slot that stops", &panic);
        }
    }

    /// Waits for requests and makes one call. False if there will be no more.
    async fn turn(&mut self) -> bool {
        if self.inbox.is_ordered() {
            self.give_way().await;
        }
        if self.pending.is_empty() && !poll_fn(|cx| self.inbox.poll_take(cx, &mut self.pending.chunks)).await {
            return false;
        }
        self.step().await;
        true
    }

    /// Hands the instance over to whoever wants it, and goes on with what comes back. What it has not handled stays here, in order.
    async fn give_way(&mut self) {
        let Some(order) = self.inbox.take_order() else { return };
        let before = Arc::clone(&self.plugin.version);
        let post = Post { version: Arc::clone(&before), counters: Arc::clone(&self.counters), instance: self.instance.take() };
        let Ok(Post { version, counters, instance }) = order.follow(post).await else { return };
        if Arc::ptr_eq(&version, &before) {
            self.instance = instance;
            return;
        }
        self.plugin = Arc::new(Plugin { seat: Arc::clone(&self.plugin.seat), version });
        (self.counters, self.instance) = (counters, None);
        (self.batch, self.ends_badly) = (1, false);
        if let Some(instance) = instance {
            self.replace(instance);
        }
    }

    /// Makes one call with what is there.
    async fn step(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        let limits = BatchLimits { messages: self.batch, ..self.limits };
        let now = Instant::now();
        let oldest = self.inbox.before(self.plugin.version.options.queue_timeout);
        let mut handled = 0;
        if let Some(slice) = pending.next(limits, oldest) {
            // `call` contains what a guest can make panic. This is for the rest: what is pending and in flight must be right afterwards,
            // too.
            let ran = contained_async(pin!(self.handle_slice(slice, now))).await;
            if let Err(panic) = ran {
                self.discard();
                report("a slot", &panic);
                self.refuse(slice.bytes, ErrorCode::PLUGIN_FAULT);
            } else if let Err(panic) = contained_async(pin!(self.recycle())).await {
                // All are answered, and must not be answered twice.
                report("a slot", &panic);
            }
            handled = slice.messages;
        }
        // Who asked is told that it is done, and that is the gate's.
        let advanced = contained(|| pending.advance());
        self.pending = pending;
        self.inbox.done(handled);
        if let Err(panic) = advanced {
            report("the gate", &panic);
        }
    }

    /// Drops an instance that failed. That may panic, too, and then nothing else is the worse for it.
    fn discard(&mut self) {
        let instance = self.instance.take();
        if let Err(panic) = contained(|| drop(instance)) {
            report("the end of an instance", &panic);
        }
    }

    async fn handle_slice(&mut self, slice: Slice<'_>, now: Instant) {
        if self.plugin.is_quarantined() {
            self.refuse(slice.bytes, ErrorCode::UNAVAILABLE);
        } else if slice.is_late {
            self.refuse(slice.bytes, ErrorCode::TIMEOUT);
            self.handle_events(slice.bytes).await;
        } else {
            self.handle(slice.bytes, slice.messages, now).await;
            self.adapt();
        }
    }

    /// Sets the size of the next batch. Only the guest's time counts: slow effects, such as a message to thousands, cost less per request
    /// in a large batch, up to a number of receivers.
    fn adapt(&mut self) {
        let slow = self.guest_time > SLOW_CALL || self.receivers > RECEIVERS_MAX;
        self.batch = if slow { self.batch / 2 } else { self.batch * 2 }.clamp(1, self.limits.messages);
    }

    /// Replaces an instance that has reached a limit of its plugin, between two calls. The new one is made first: if it does not start, the
    /// old one goes on until it has made as many calls again, or has grown further.
    async fn recycle(&mut self) {
        let options = &self.plugin.version.options;
        let Some(instance) = &self.instance else { return };
        let bytes = instance.memory_bytes();
        let grown = options.recycle_memory.is_some_and(|limit| bytes >= limit) && bytes > self.memory_bytes;
        if !grown && options.recycle_calls.is_none_or(|limit| self.calls < limit) {
            return;
        }
        tracing::debug!(plugin = %self.plugin.seat.name, calls = self.calls, bytes, "instance is recycled");
        let new = contained_async(pin!(self.plugin.version.code.instantiate())).await;
        match new.unwrap_or_else(|panic| Err(Fault::Panic(panic))) {
            Ok(new) => {
                if let Some(old) = self.replace(new)
                    && let Err(panic) = contained_async(pin!(self.end(old))).await
                {
                    report("the host in `stop`", &panic);
                }
            }
            Err(fault) => {
                (self.calls, self.memory_bytes) = (0, bytes);
                tracing::warn!(plugin = %self.plugin.seat.name, "instance is not recycled: {}", one_line(&fault.to_string()));
            }
        }
    }

    /// Handles requests, in one call or, if the guest leaves some of them, in several.
    async fn handle(&mut self, mut requests: &[u8], mut messages: usize, mut now: Instant) {
        while let Some(handled) = self.handle_some(requests, messages, now).await.filter(|handled| *handled < messages) {
            (requests, messages) = (split(requests, handled).1, messages - handled);
            // As after any other call.
            tokio::task::yield_now().await;
            if self.plugin.is_quarantined() {
                self.refuse(requests, ErrorCode::UNAVAILABLE);
                return;
            }
            now = Instant::now();
        }
    }

    /// Handles requests in one call and says how many of them. After a fault all are handled, and it says nothing.
    async fn handle_some(&mut self, requests: &[u8], messages: usize, now: Instant) -> Option<usize> {
        let called = self.call(requests, now).await;
        if let Ok(handled) = called {
            let done = if handled < messages { split(requests, handled).0 } else { requests };
            self.count(done, handled, false, true);
            return Some(handled);
        }
        let is_final = messages == 1 || matches!(called, Err(Fault::Gate { .. }));
        self.count(requests, messages, true, is_final);
        match called.err()? {
            fault if is_final => self.failed(requests, &fault),
            fault => self.handle_each(requests, &fault).await,
        }
        None
    }

    /// One of these requests is to blame for the fault: handles each alone, in the new instance. Not after a panic of the gate: some effects
    /// may have been applied, and must not be applied twice.
    async fn handle_each(&mut self, requests: &[u8], fault: &Fault) {
        let mut to_blame = false;
        let mut left = requests;
        while !left.is_empty() {
            let (alone, behind) = split(left, 1);
            left = behind;
            if self.plugin.is_quarantined() {
                self.refuse(alone, ErrorCode::UNAVAILABLE);
                continue;
            }
            let called = self.call(alone, Instant::now()).await;
            self.count(alone, 1, called.is_err(), true);
            if let Err(fault) = called {
                to_blame = true;
                self.failed(alone, &fault);
            }
        }
        // Alone, each was within its limits. If only the batch was too much, in time, memory or bytes, that must not count: otherwise
        // whoever sends many large requests at once takes the plugin out of service. A trap counts even if it does not come again. The
        // memory of the instance is gone in either case, so the log says so.
        if !to_blame {
            self.batch = 1;
            if matches!(fault, Fault::Trap(_) | Fault::Stack { .. } | Fault::Panic(_)) {
                self.plugin.fault(fault, requests);
            } else {
                self.plugin.log(fault, requests);
            }
        }
    }

    /// Handles the events among requests that are refused for their age: a plugin that relies on events gets all of them.
    async fn handle_events(&mut self, requests: &[u8]) {
        let mut events = Requests::default();
        RequestIter::new(requests).filter(|r| r.kind.is_event()).for_each(|event| events.push(&event));
        if !events.is_empty() {
            self.handle(events.bytes(), events.len(), Instant::now()).await;
        }
    }

    /// Calls the instance, applies its effects, all or none, and says how many of the requests were handled. After a fault the instance is
    /// gone.
    async fn call(&mut self, requests: &[u8], begun: Instant) -> Result<usize, Fault> {
        let ran = contained_async(pin!(self.run(requests))).await.unwrap_or_else(|panic| Err(Fault::Panic(panic)));
        self.guest_time = begun.elapsed();
        let called = ran.and_then(|list| self.apply(requests, &list));
        if called.is_err() {
            self.discard();
        }
        called
    }

    fn apply(&mut self, requests: &[u8], list: &[u8]) -> Result<usize, Fault> {
        let Gate { egress, directory } = &self.gate;
        let checked = contained(|| Outcome::new(requests, list, &**directory));
        let outcome = checked.map_err(|panic| Fault::Gate { panic, answered: Vec::new() })??;
        let mut left = outcome.effects();
        let applied = contained(|| egress.apply(&mut left));
        if let Err(panic) = applied {
            let taken = outcome.effects().iter().take(outcome.effects().len() - left.len());
            let answered = taken.filter(|effect| effect.action.is_answer()).map(|effect| effect.origin.index).collect();
            return Err(Fault::Gate { panic, answered });
        }
        for effect in outcome.effects() {
            if let (Action::Error(..), Source::Client { route, .. }) = (effect.action, effect.origin.source) {
                self.counters.error(route);
            }
        }
        self.receivers = outcome.receivers();
        Ok(outcome.handled())
    }

    async fn run(&mut self, requests: &[u8]) -> Result<Vec<u8>, Fault> {
        self.warm().await?;
        self.calls += 1;
        match &mut self.instance {
            Some(instance) => instance.call(requests).await,
            None => Err(Fault::Start("there is none".to_owned())),
        }
    }

    /// Counts the call that was made last.
    fn count(&self, requests: &[u8], messages: usize, is_fault: bool, is_final: bool) {
        let ended = match (is_fault, is_final) {
            (false, _) => Ended::Well,
            (true, true) => Ended::InFault,
            (true, false) => Ended::ToBeRepeated,
        };
        self.counters.call(requests, messages, self.guest_time, ended);
    }

    fn failed(&self, requests: &[u8], fault: &Fault) {
        self.plugin.fault(fault, requests);
        let answered = if let Fault::Gate { answered, .. } = fault { answered.as_slice() } else { &[] };
        let unanswered = (0..).zip(RequestIter::new(requests)).filter(|(index, _)| !answered.contains(index));
        refuse(&*self.gate.egress, unanswered.map(|(_, request)| request), fault.code());
    }

    fn refuse(&self, requests: &[u8], code: ErrorCode) {
        refuse(&*self.gate.egress, RequestIter::new(requests), code);
    }

    /// Ends the instance in good order.
    async fn stop(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.end(instance).await;
        }
    }

    /// Lets an instance run `stop`. If that fails, the log says so once: a plugin that is recycled often would fill it.
    async fn end(&mut self, instance: Instance) {
        if let Err(why) = instance.stop().await
            && !std::mem::replace(&mut self.ends_badly, true)
        {
            tracing::warn!(plugin = %self.plugin.seat.name, "instance did not end in good order: {}", one_line(&why));
        }
    }
}

/// The first so many requests, and the others.
fn split(requests: &[u8], count: usize) -> (&[u8], &[u8]) {
    let mut iter = RequestIter::new(requests);
    iter.by_ref().take(count).for_each(drop);
    requests.split_at_checked(requests.len() - iter.rest().len()).unwrap_or((requests, &[]))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{LazyLock, Mutex};
    use std::task::Waker;

    use duet_core::{ConnId, Effect, Request, RequestKind, Route, Seq};
    use duet_testkit::{Log, Nobody};
    use wasmtime::StoreContextMut;
    use wasmtime::component::types::ComponentFunc;
    use wasmtime::component::{Component, Val};
    use wasmtime_wasi::WasiView;

    use super::*;
    use crate::call::engine::Uptime;
    use crate::call::template::Template;
    use crate::host::Linkers;
    use crate::host::context::Context;
    use crate::host::state::HostState;
    use crate::load::contract::CONTRACT;
    use crate::load::manifest::Manifest;
    use crate::load::world::Handlers;
    use crate::options::{Affinity, PluginOptions};
    use crate::serve::instance::Code;
    use crate::serve::seat::Seat;
    use crate::serve::version::Version;

    mod wasi;

    /// A gate that keeps the codes it is given, 0 for a reply.
    #[derive(Default)]
    struct Codes(Mutex<Vec<u16>>);

    impl Egress for Codes {
        fn apply(&self, effects: &mut &[Effect<'_>]) {
            self.0.lock().unwrap().extend(effects.iter().filter_map(|effect| match effect.action {
                Action::Reply(_) => Some(0),
                Action::Error(code, _) => Some(code.0),
                _ => None,
            }));
        }
    }

    /// Each import, and the route on which a message calls it.
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

    /// What a plugin that waits is woken by.
    static TIMERS: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap());

    thread_local! {
        /// How often an import has panicked on this thread.
        static PANICS: Cell<usize> = const { Cell::new(0) };
    }

    /// A slot whose plugin has one import that panics.
    fn slot(text: &str, interface: &str, function: &str) -> (Slot, Arc<Codes>) {
        slot_with(text, &format!("duet:plugin/{interface}@{CONTRACT}"), function)
    }

    fn slot_with(text: &str, interface: &str, function: &str) -> (Slot, Arc<Codes>) {
        let engine = crate::call::engine::engine().unwrap();
        let mut linkers = Linkers::new(&engine).unwrap();
        for linker in [&mut linkers.sync, &mut linkers.waiting] {
            linker.allow_shadowing(true);
            let panics = |_: StoreContextMut<'_, HostState>, _: ComponentFunc, _: &[Val], _: &mut [Val]| {
                PANICS.set(PANICS.get() + 1);
                panic!("injected into an import")
            };
            linker.instance(interface).unwrap().func_new(function, panics).unwrap();
        }
        let (codes, directory) = (Arc::<Codes>::default(), Arc::new(Nobody::new()));
        let options = PluginOptions { faults_max: 1000, ..PluginOptions::default() };
        let context = Context::new("test", &options, &(Arc::clone(&directory) as _)).unwrap();
        let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let template = Template::new(&linkers, &component, context, options.clone(), TIMERS.handle()).unwrap();
        let manifest = Manifest::parse(r#"{"name":"test","version":"1","routes":[]}"#, Handlers::Single { events: false }, false).unwrap();
        let inbox = Inbox::new(100, 1 << 20, Uptime::default());
        let version = Version::native(manifest, options, Code::Wasm(Box::new(template)), 1);
        let counters = version.counters.first().map(Arc::clone).unwrap();
        let plugin = Arc::new(Plugin {
            seat: Arc::new(Seat::new("test", vec![Arc::clone(&inbox)], Affinity::Connection)),
            version: Arc::new(version),
        });
        let limits = BatchLimits { messages: 32, bytes: 1 << 16 };
        (Slot::new(plugin, inbox, counters, limits, Gate { egress: Arc::clone(&codes) as _, directory }), codes)
    }

    /// The answers to messages on these routes, all in one read.
    fn answers(slot: &mut Slot, codes: &Codes, routes: &[i32]) -> Vec<u16> {
        let mut requests = Requests::default();
        for (route, seq) in routes.iter().zip(1..) {
            let (kind, body) = (RequestKind::Message, [0; 16].as_slice());
            requests.push(&Request { kind, conn: ConnId(5), uid: None, route: Route(*route), seq: Seq(seq), key: None, body });
        }
        slot.inbox.offer(requests, Waker::noop()).unwrap();
        while slot.inbox.in_flight() > 0 {
            assert!(TIMERS.block_on(slot.turn()));
        }
        std::mem::take(&mut codes.0.lock().unwrap())
    }

    #[test]
    fn a_turn_is_small_enough_to_be_made_anew_for_each_call() {
        let (mut slot, _) = slot(include_str!("../../../testkit/fixtures/single/single.wat"), "random", "number");
        let bytes = size_of_val(&slot.turn());
        assert!(bytes < 4096, "{bytes} bytes");
    }

    #[test]
    fn a_panic_in_any_import_is_a_fault_of_one_message() {
        let fault = ErrorCode::PLUGIN_FAULT.0;
        let text = include_str!("../../../testkit/fixtures/single/single.wat");
        for (route, interface, function) in SINGLE {
            let (mut slot, codes) = slot(text, interface, function);
            assert_eq!(answers(&mut slot, &codes, &[211, route, 211, 211, 211, route, 211]), [0, fault, 0, 0, 0, fault, 0], "{function}");
        }
        let text = include_str!("../../../testkit/fixtures/gate/gate.wat");
        let gateway = GATEWAY.map(|function| ("gateway", function));
        let sessions = SESSIONS.map(|function| ("sessions", function));
        for ((interface, function), route) in gateway.into_iter().chain(sessions).zip(300..) {
            let (mut slot, codes) = slot(text, interface, function);
            assert_eq!(answers(&mut slot, &codes, &[319, route, 319, 319, 319, route, 319]), [0, fault, 0, 0, 0, fault, 0], "{function}");
        }
    }

    #[test]
    fn a_log_that_panics_over_a_fault_costs_nothing_more_than_the_fault() {
        // The import that panics is not called.
        let (mut slot, codes) = slot(include_str!("../../../testkit/fixtures/single/single.wat"), "random", "number");
        let broken = Log::new(tracing::Level::TRACE, |_| panic!("injected into the log"));
        tracing::subscriber::with_default(broken, || {
            for _ in 0..3 {
                assert_eq!(answers(&mut slot, &codes, &[211, 207]), [0, ErrorCode::PLUGIN_FAULT.0]);
            }
        });
        assert_eq!(answers(&mut slot, &codes, &[211, 208]), [0, 0]);
        assert_eq!(slot.plugin.version.health.faults(), 3);
    }

    #[test]
    fn a_log_that_panics_over_an_instance_that_is_recycled_answers_nobody_twice() {
        // The import that panics is not called.
        let (mut slot, codes) = slot(include_str!("../../../testkit/fixtures/single/single.wat"), "random", "number");
        let plugin = Arc::get_mut(&mut slot.plugin).unwrap();
        Arc::get_mut(&mut plugin.version).unwrap().options.recycle_calls = Some(1);
        let broken = Log::new(tracing::Level::TRACE, |_| panic!("injected into the log"));
        tracing::subscriber::with_default(broken, || assert_eq!(answers(&mut slot, &codes, &[211, 211, 211]), [0; 3]));
    }

    /// Something a guest holds whose end panics.
    struct Fragile;

    impl Drop for Fragile {
        fn drop(&mut self) {
            panic!("injected into the end of an instance");
        }
    }

    #[test]
    fn a_panic_while_an_instance_that_failed_is_dropped_costs_nobody_else_an_answer() {
        // The import that panics is not called.
        let (mut slot, codes) = slot(include_str!("../../../testkit/fixtures/single/single.wat"), "random", "number");
        (0..3).for_each(|_| assert_eq!(answers(&mut slot, &codes, &[211]), [0]));
        let Some(Instance::Wasm(guest)) = &mut slot.instance else { panic!("it is a component") };
        guest.store.data_mut().ctx().table.push(Fragile).unwrap();
        assert_eq!(answers(&mut slot, &codes, &[211, 207, 211]), [0, ErrorCode::PLUGIN_FAULT.0, 0]);
    }

    #[test]
    fn a_panic_while_an_instance_starts_is_a_fault_of_each_message_that_needs_one() {
        let (mut slot, codes) = slot(include_str!("../../../testkit/fixtures/single/single.wat"), "config", "get");
        assert_eq!(answers(&mut slot, &codes, &[211, 211]), [ErrorCode::PLUGIN_FAULT.0; 2]);
    }
}
