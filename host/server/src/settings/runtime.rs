//! `[runtime]`: what all plugins share.

use std::time::Duration;

use duet_config::{Table, duration, integer, size};

/// What all plugins share: workers, their queues, and what compiling may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeSettings {
    /// Threads that run plugins, 0 to 1,024. Default 0: one for each core.
    pub(crate) workers: usize,
    /// Messages waiting for one instance, 1 to 1,048,576. Default 4,096. A connection that has more for it is not read
    /// until there is room.
    pub(crate) queue_messages: usize,
    /// Bytes waiting for one instance, 1 KiB to 1 GiB, at least `batch_bytes` and at least `codec.body_bytes_max` + 64.
    /// Default 4 MiB. Above it as with `queue_messages`.
    pub(crate) queue_bytes: usize,
    /// Messages handed to a plugin in one call, 1 to 64. Default 32. The rest comes with the next call.
    pub(crate) batch_messages: usize,
    /// Bytes handed to a plugin in one call, 1 KiB to 16 MiB; one message is handed over whatever its size.
    /// Default 32 KiB. The rest comes with the next call.
    pub(crate) batch_bytes: usize,
    /// The largest plugin file in bytes, 1 KiB to 1 GiB. Default 64 MiB. A larger one is refused unread.
    pub(crate) file_bytes_max: u64,
    /// The largest function body in a plugin in bytes, 1 KiB to 16 MiB. Default 256 KiB. A plugin with a larger one is
    /// refused: compile time grows faster than the size.
    pub(crate) function_bytes_max: usize,
    /// Time to compile one plugin, 1 s to 1 h. Default 60 s. Then compiling is ended and the plugin refused.
    pub(crate) compile_timeout: Duration,
    /// Memory to compile one plugin in bytes, 128 MiB to 64 GiB. Default 2 GiB. A plugin that needs more is refused.
    pub(crate) compile_memory: u64,
    /// How long start-up waits for plugins that are still compiling, 0 s to 1 h. Default 10 s. Then the ports open and
    /// their routes are unknown until they are ready.
    pub(crate) start_wait: Duration,
}

impl Default for RuntimeSettings {
    fn default() -> RuntimeSettings {
        RuntimeSettings {
            workers: 0,
            queue_messages: 4_096,
            queue_bytes: 4 << 20,
            batch_messages: 32,
            batch_bytes: 32 << 10,
            file_bytes_max: 64 << 20,
            function_bytes_max: 256 << 10,
            compile_timeout: Duration::from_secs(60),
            compile_memory: 2 << 30,
            start_wait: Duration::from_secs(10),
        }
    }
}

impl RuntimeSettings {
    pub(super) fn read(mut table: Table<'_>) -> RuntimeSettings {
        let default = RuntimeSettings::default();
        let hour = Duration::from_secs(3_600);
        let settings = RuntimeSettings {
            workers: table.get("workers", &integer().range(0..=1_024)).or(default.workers),
            queue_messages: table.get("queue_messages", &integer().range(1..=1 << 20)).or(default.queue_messages),
            queue_bytes: table.get("queue_bytes", &size().range(1 << 10..=1 << 30)).or(default.queue_bytes),
            batch_messages: table.get("batch_messages", &integer().range(1..=64)).or(default.batch_messages),
            batch_bytes: table.get("batch_bytes", &size().range(1 << 10..=16 << 20)).or(default.batch_bytes),
            file_bytes_max: table.get("file_bytes_max", &size().range(1 << 10..=1 << 30)).or(default.file_bytes_max),
            function_bytes_max: table.get("function_bytes_max", &size().range(1 << 10..=16 << 20)).or(default.function_bytes_max),
            compile_timeout: table.get("compile_timeout", &duration().range(Duration::from_secs(1)..=hour)).or(default.compile_timeout),
            compile_memory: table.get("compile_memory", &size().range(128 << 20..=64 << 30)).or(default.compile_memory),
            start_wait: table.get("start_wait", &duration().range(Duration::ZERO..=hour)).or(default.start_wait),
        };
        table.finish();
        settings
    }
}
