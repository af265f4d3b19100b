//! What an operator can set, for the runtime and for each plugin. The defaults are safe.

use std::path::PathBuf;
use std::time::Duration;

use crate::load::compile::{CompileLimits, CompileMode};

/// How plugins are run by this process.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Threads that call plugins; at least 1.
    pub workers: usize,
    /// Requests that may wait for one instance. Above it, connections that have more for it are not read.
    pub queue_messages: usize,
    /// The same in bytes. One read is taken into an empty queue whatever its size.
    pub queue_bytes: usize,
    /// Most requests in one call; at most 64.
    pub batch_messages: usize,
    /// Most bytes of requests in one call, except for a single larger request.
    pub batch_bytes: usize,
    /// Largest plugin file in bytes.
    pub file_bytes_max: u64,
    /// Largest body of one function in bytes: the time to compile grows faster than this.
    pub function_bytes_max: usize,
    /// Where compiled plugins are kept.
    pub cache: PathBuf,
    /// How files are compiled.
    pub compile: CompileMode,
    /// Limits of one compilation.
    pub compile_limits: CompileLimits,
}

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            queue_messages: 4096,
            queue_bytes: 4 << 20,
            batch_messages: 32,
            batch_bytes: 32 << 10,
            file_bytes_max: 64 << 20,
            function_bytes_max: 256 << 10,
            cache: PathBuf::from(".duet/cache"),
            compile: CompileMode::InProcess,
            compile_limits: CompileLimits::default(),
        }
    }
}

/// How one plugin is run.
#[derive(Clone, Debug)]
pub struct PluginOptions {
    /// How many instances it has.
    pub instances: Instances,
    /// Which instance gets a request.
    pub affinity: Affinity,
    /// CPU time of one call, in steps of the 5 ms tick; ten times as much on the clock.
    pub call_budget: Duration,
    /// Whole time of one call of a plugin that waits (asynchronous lane). That of `describe`, `start` and `stop`, too, but at least 1 s.
    pub wait_timeout: Duration,
    /// Requests that waited longer in the queue are answered `timeout` without a call.
    pub queue_timeout: Duration,
    /// All linear memories and tables of one instance together, in bytes.
    pub memory_bytes: usize,
    /// Elements of all tables of one instance.
    pub table_elements: usize,
    /// Log lines a second; twice as many in a burst. More are dropped and counted.
    pub log_lines_per_second: u32,
    /// Faults within `faults_window` that put the plugin out of service.
    pub faults_max: u32,
    /// See `faults_max`.
    pub faults_window: Duration,
    /// First time out of service; doubles with each time in a row, up to 60 s.
    pub quarantine: Duration,
    /// Calls after which an instance is replaced in good order; `None`: never.
    pub recycle_calls: Option<u64>,
    /// Bytes of memory above which an instance that has grown is replaced in good order; `None`: never.
    pub recycle_memory: Option<usize>,
    /// The table that the plugin reads through `config`, as a JSON object.
    pub config: String,
}

impl Default for PluginOptions {
    fn default() -> Self {
        Self {
            instances: Instances::Fixed(1),
            affinity: Affinity::Connection,
            call_budget: Duration::from_millis(50),
            wait_timeout: Duration::from_secs(3),
            queue_timeout: Duration::from_secs(5),
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            log_lines_per_second: 100,
            faults_max: 3,
            faults_window: Duration::from_secs(10),
            quarantine: Duration::from_secs(1),
            recycle_calls: None,
            recycle_memory: None,
            config: "{}".to_owned(),
        }
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
