//! What an operator can set, for the runtime and for each plugin. The defaults are safe.

use std::path::PathBuf;
use std::time::Duration;

use duet_config::{JsonTable, Settings as _, Table, choice, duration, integer, size, word_or};
use duet_core::CALL_REQUESTS_MAX;

use crate::load::compile::{CompileLimits, CompileMode};

duet_config::settings! {
    /// `[runtime]`: how plugins are run by this process.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RuntimeOptions {
        /// Threads that run plugins; 0: one for each core.
        pub workers: usize = 0, integer().range(0..=1024);
        /// Messages that may wait for one instance. Above it, a connection that has more for it is not read until there is room.
        pub queue_messages: usize = 4096, integer().range(1..=1 << 20);
        /// The same in bytes, at least `batch_bytes` and at least `codec.body_bytes_max` + 64. One read is taken into an empty queue whatever
        /// its size.
        pub queue_bytes: usize = 4 << 20, size().range(1 << 10..=1 << 30);
        /// Messages handed to a plugin in one call. The rest comes with the next call.
        pub batch_messages: usize = 32, integer().range(1..=CALL_REQUESTS_MAX);
        /// Bytes handed to a plugin in one call; one message is handed over whatever its size.
        pub batch_bytes: usize = 32 << 10, size().range(1 << 10..=16 << 20);
        /// The largest plugin file in bytes. A larger one is refused unread.
        pub file_bytes_max: u64 = 64 << 20, size().range(1 << 10..=1 << 30);
        /// The largest function in a plugin in bytes. A plugin with a larger one is refused: compile time grows faster than the size.
        pub function_bytes_max: usize = 256 << 10, size().range(1 << 10..=16 << 20);
        ..
        /// Where compiled plugins are kept.
        pub cache: PathBuf = ".duet/cache".into();
        /// How files are compiled.
        pub compile: CompileMode = CompileMode::InProcess;
        /// Limits of one compilation.
        pub compile_limits: CompileLimits = CompileLimits::default();
    }
}

impl RuntimeOptions {
    /// Threads that run plugins, as many as there are cores if nobody says otherwise.
    pub fn threads(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}

duet_config::settings! {
    /// `[plugin.NAME]`: how one plugin is run.
    #[derive(Clone, Debug, PartialEq)]
    pub struct PluginOptions {
        /// How many instances run, or `workers`: one on each worker. With one, its memory can be the state of the game.
        pub instances: Instances = Instances::Fixed(1), word_or(("workers", Instances::Workers), 1..=1024, Instances::Fixed, Instances::count);
        /// What decides the instance that gets a message. Messages of one connection, or of one account (the connection while it is not bound),
        /// go to one instance, in order; with `any` there is no order.
        pub affinity: Affinity = Affinity::Connection, choice(AFFINITIES);
        /// Processor time of one call, in steps of the 5 ms tick, and ten times as much by the clock. Waiting is not counted. After it, the
        /// call is ended, the instance replaced, and the client answered `timeout`.
        pub call_budget: Duration = Duration::from_millis(50), duration().range(Duration::from_millis(5)..=10 * SECOND);
        /// Memory of one instance in bytes: all its linear memories and tables together. Growing beyond it fails inside the plugin.
        pub memory_bytes["memory"]: usize = 64 << 20, size().range(1 << 20..=4 << 30);
        /// Elements of all tables of one instance. Growing beyond it fails inside the plugin.
        pub table_elements: usize = 20_000, integer().range(1..=10_000_000);
        /// Log lines a second, and twice as many in one burst. Further ones are dropped and counted.
        pub log_lines_per_second: u32 = 100, integer().range(1..=100_000);
        /// Faults within `faults_window` that put the plugin into quarantine.
        pub faults_max: u32 = 3, integer().range(1..=1000);
        /// See `faults_max`.
        pub faults_window: Duration = 10 * SECOND, duration().range(Duration::from_millis(100)..=3600 * SECOND);
        /// How long a plugin in quarantine answers `unavailable` the first time; doubles with each time in a row, up to 60 s.
        pub quarantine: Duration = SECOND, duration().range(TEN_MS..=60 * SECOND);
        /// Calls after which an instance is replaced by a new one in good order; 0: never. For plugins whose language leaks memory.
        pub recycle_calls: Option<u64> = None, integer::<u64>().range(0..=1_000_000_000_000).optional();
        /// Memory in bytes at which an instance that has grown is replaced in the same way; less than `memory`.
        pub recycle_memory: Option<usize> = None, size::<usize>().zero_or("never", 1 << 20..=4 << 30).optional();
        /// Time of one call with all its waits; only for a plugin that can wait. It also limits `describe`, `start` and `stop`, which get
        /// at least 1 s. After it, the call is ended and the client answered `timeout`.
        pub wait_timeout: Duration = 3 * SECOND, duration().range(TEN_MS..=600 * SECOND);
        /// Time that a message may wait for its worker. Then it is answered `timeout` without a call.
        pub queue_timeout: Duration = 5 * SECOND, duration().range(TEN_MS..=600 * SECOND);
        /// Processor time to save the state of an instance and restore it in another when the code is replaced. Then it is not replaced.
        pub state_timeout: Duration = 5 * SECOND, duration().range(TEN_MS..=600 * SECOND);
        /// Versions before the one that serves to which one can go back, as long as their code is in the cache.
        pub versions_kept: usize = 4, integer().range(0..=100);
        ..
        /// The table that the plugin reads through `config`.
        pub config: JsonTable = JsonTable::default();
    }
}

const SECOND: Duration = Duration::from_secs(1);
const TEN_MS: Duration = Duration::from_millis(10);
const AFFINITIES: &[(&str, Affinity)] = &[("connection", Affinity::Connection), ("uid", Affinity::Uid), ("any", Affinity::Any)];

impl Instances {
    fn count(&self) -> Option<usize> {
        match self {
            Self::Fixed(count) => Some(*count),
            Self::Workers => None,
        }
    }
}

impl PluginOptions {
    /// Reads the options from a table, with the plugin's own configuration, whose keys override those of `base`. What is missing or wrong
    /// is as in `base`.
    pub fn from_table(table: &mut Table<'_>, base: &Self) -> Self {
        let mut options = Self::read(table, base);
        options.config = base.config.clone().merged(table.json_table("config").or(JsonTable::default()));
        let above = options.recycle_memory.is_some_and(|bytes| bytes >= options.memory_bytes);
        if above && table.has("recycle_memory") && !table.is_wrong("recycle_memory") {
            table.mistake("recycle_memory", "allowed: 0 for never, 1MiB to below `memory`");
        }
        options
    }
}

/// Number of instances of a plugin. With one, its memory is the state of the game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// This many.
    Fixed(usize),
    /// One for each worker thread.
    Workers,
}

/// What decides which instance of several gets a request. Requests with the same key are handled in order by one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// The connection.
    Connection,
    /// The account; the connection as long as it is not bound.
    Uid,
    /// None: whichever is next. Even requests of one connection may overtake each other.
    Any,
}
