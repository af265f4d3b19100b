//! What a store holds for the host's functions, besides the guest's own memory.

use std::sync::Arc;
use std::time::Duration;

use duet_core::ErrorCode;
use wasmtime::StoreContextMut;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::call::meter::Meter;
use crate::host::context::Context;
use crate::host::last_words::LastWords;
use crate::host::memory::MemoryLimits;
use crate::host::reached::Reached;
use crate::host::stdio::GuestOutput;
use crate::options::PluginOptions;

/// Handles that a guest may hold at a time.
const HANDLES_MAX: usize = 1000;

/// The store as a function of the host sees it.
pub(crate) type Cx<'a> = StoreContextMut<'a, HostState>;

/// The data of one store.
pub(crate) struct HostState {
    pub(crate) context: Arc<Context>,
    /// What the guest said on stderr in the current call.
    pub(crate) last_words: Arc<LastWords>,
    pub(crate) limits: MemoryLimits,
    /// Effect records made through imports in the current call.
    pub(crate) effects: Vec<u8>,
    /// Where those of the request begin that a plain handler is busy with, or those of the call, and how many they are.
    pub(crate) effects_begin: usize,
    pub(crate) effects_count: usize,
    /// How many receivers the messages among them have.
    pub(crate) reached: Reached,
    /// Index of the request that a plain handler is busy with.
    pub(crate) request: usize,
    /// The code that an error of that request is sent with.
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
            .stdout(GuestOutput::new(context, None))
            .stderr(GuestOutput::new(context, Some(&last_words)))
            .allow_tcp(false)
            .allow_udp(false)
            .max_random_size(64 << 10)
            .build();
        Self {
            context: Arc::clone(context),
            last_words,
            limits: MemoryLimits::new(options, Arc::clone(&context.memory)),
            effects: Vec::new(),
            effects_begin: 0,
            effects_count: 0,
            reached: Reached::default(),
            request: 0,
            error_code: ErrorCode::HANDLER,
            meter: Meter::default(),
            wasi,
            table,
        }
    }

    /// Forgets what the call before left behind.
    pub(crate) fn begin(&mut self, budget: Duration) {
        self.effects.clear();
        self.reached = Reached::default();
        self.begin_request(0);
        self.limits.refused = None;
        self.last_words.forget();
        self.meter = Meter::new(budget);
    }

    /// From now on, what a plain handler does belongs to this request of the call.
    pub(crate) fn begin_request(&mut self, index: usize) {
        self.request = index;
        self.effects_begin = self.effects.len();
        self.effects_count = 0;
        self.reached.begin(self.effects.len());
        self.error_code = ErrorCode::HANDLER;
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
