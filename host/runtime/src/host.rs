//! The host's side of the contract: what a store holds, and the linkers that offer the imports.

mod gateway;
mod imports;
mod last_words;
mod log;
mod memory;
mod sessions;
mod stdio;

use std::sync::Arc;
use std::time::Duration;

use duet_core::{Directory, ErrorCode};
use wasmtime::Engine;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

pub(crate) use self::gateway::receivers;
pub(crate) use self::last_words::LastWords;
pub(crate) use self::log::{LogQuota, one_line};
pub(crate) use self::memory::{MemoryLimits, Refused};
use crate::call::meter::Meter;
use crate::options::PluginOptions;

/// Bytes that one import call may hand to the host, and one call may make of effects.
pub(crate) const EFFECT_BYTES_MAX: usize = 4 << 20;
/// Effects of one request beside its answer.
pub(crate) const EFFECTS_MAX: usize = 4096;
/// Receivers of all messages of one request's effects: once there are so many, no further message is taken. So one message to all is always
/// possible, and what a call makes the gate do takes a fraction of a second. 40 messages to 10,000 players.
pub(crate) const RECEIVERS_MAX: usize = 400_000;
/// Handles that a guest may hold at a time.
const HANDLES_MAX: usize = 1000;

/// What all instances of a plugin share with the host's functions.
pub(crate) struct Context {
    /// What `config.get` reads.
    pub(crate) config: serde_json::Value,
    pub(crate) log: LogQuota,
    /// What `sessions` looks up.
    pub(crate) directory: Arc<dyn Directory>,
}

impl Context {
    pub(crate) fn new(name: &str, options: &PluginOptions, directory: &Arc<dyn Directory>) -> Result<Arc<Self>, serde_json::Error> {
        Ok(Arc::new(Self {
            config: serde_json::from_str(&options.config)?,
            log: LogQuota::new(name, options.log_lines_per_second),
            directory: Arc::clone(directory),
        }))
    }
}

/// The data of one store.
pub(crate) struct HostState {
    pub(crate) context: Arc<Context>,
    /// What the guest said on stderr in the current call.
    pub(crate) last_words: Arc<LastWords>,
    pub(crate) limits: MemoryLimits,
    /// Effect records made through imports in the current call.
    pub(crate) effects: Vec<u8>,
    /// How many of them belong to the request that a plain handler is busy with, or to the call.
    pub(crate) effects_count: usize,
    /// How many the messages among them go to.
    pub(crate) receivers: usize,
    /// Index of the request that a plain handler is busy with.
    pub(crate) request: usize,
    /// What an error of that request is sent with.
    pub(crate) error_code: ErrorCode,
    /// What the current call has left of its budget.
    pub(crate) meter: Meter,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl HostState {
    pub(crate) fn new(context: &Arc<Context>, options: &PluginOptions) -> Self {
        let last_words = Arc::<LastWords>::default();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        // Nothing but output that becomes log lines: no files, no sockets, no environment, no arguments.
        let wasi = WasiCtxBuilder::new()
            .stdout(stdio::GuestOutput::new(context, None))
            .stderr(stdio::GuestOutput::new(context, Some(&last_words)))
            .allow_tcp(false)
            .allow_udp(false)
            .max_random_size(64 << 10)
            .build();
        Self {
            context: Arc::clone(context),
            last_words,
            limits: MemoryLimits::new(options),
            effects: Vec::new(),
            effects_count: 0,
            receivers: 0,
            request: 0,
            error_code: ErrorCode::HANDLER,
            meter: Meter::default(),
            wasi,
            table,
        }
    }
}

impl HostState {
    /// Forgets what is left of the call before.
    pub(crate) fn begin(&mut self, budget: Duration) {
        self.effects.clear();
        self.effects_count = 0;
        self.receivers = 0;
        self.request = 0;
        self.limits.refused = None;
        self.last_words.forget();
        self.meter = Meter::new(budget);
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The imports for both lanes. A lane is chosen by what a component imports.
pub(crate) struct Linkers {
    pub(crate) sync: Linker<HostState>,
    pub(crate) waiting: Linker<HostState>,
}

impl Linkers {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut sync = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut sync)?;
        imports::add_to_linker(&mut sync)?;
        let mut waiting = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut waiting)?;
        imports::add_to_linker(&mut waiting)?;
        Ok(Self { sync, waiting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::component::Component;

    /// A type of the contract in the text format of components.
    fn wat_of(ty: &str) -> String {
        match ty {
            "list<u8>" => "(list u8)".to_owned(),
            "result<string>" => "(result string)".to_owned(),
            "result<_, string>" => "(result (error string))".to_owned(),
            other => other.to_owned(),
        }
    }

    #[test]
    fn every_import_of_the_contract_is_linked_with_the_type_it_has_there() {
        let (mut wat, mut count) = (String::from("(component "), 0);
        for interface in crate::load::check::IMPORTS {
            wat += &format!("(import \"{interface}@0.1.0\" (instance ");
            for (name, signature) in crate::load::contract::functions(interface) {
                let parameters = signature.parameters().map(|(name, ty)| format!("(param \"{name}\" {})", wat_of(ty)));
                let result = signature.result().map(|ty| format!("(result {})", wat_of(ty))).unwrap_or_default();
                wat += &format!("(export \"{name}\" (func {} {result}))", parameters.collect::<String>());
                count += 1;
            }
            wat += "))";
        }
        let engine = crate::call::engine::engine().unwrap();
        let linkers = Linkers::new(&engine).unwrap();
        let component = Component::new(&engine, wat::parse_str(wat + ")").unwrap()).unwrap();
        for linker in [&linkers.sync, &linkers.waiting] {
            linker.instantiate_pre(&component).map(drop).unwrap();
        }
        assert!(count > 25, "{count}");
    }
}
