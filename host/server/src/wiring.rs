//! From settings to the options of each crate.

mod gateway;

use anyhow::Context;
use duet_runtime::{CompileLimits, CompileMode, PluginOptions, RuntimeOptions};

pub(crate) use self::gateway::{gateway, listener};
use crate::settings::{self, PluginSettings, Settings};

/// Number of threads that `0` stands for.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}

pub(crate) fn runtime(settings: &Settings) -> anyhow::Result<RuntimeOptions> {
    let runtime = &settings.runtime;
    let limits = CompileLimits { time: runtime.compile_timeout, memory_bytes: runtime.compile_memory };
    let seconds = limits.time.as_secs().max(1).to_string();
    let memory = limits.memory_bytes.to_string();
    Ok(RuntimeOptions {
        workers: threads(runtime.workers),
        queue_messages: runtime.queue_messages,
        queue_bytes: runtime.queue_bytes,
        batch_messages: runtime.batch_messages,
        batch_bytes: runtime.batch_bytes,
        file_bytes_max: runtime.file_bytes_max,
        function_bytes_max: runtime.function_bytes_max,
        cache: settings.cache.clone(),
        compile: CompileMode::Child {
            program: std::env::current_exe().context("finding this program, which compiles plugins in a child process")?,
            arguments: ["compile", "--seconds", &seconds, "--memory-bytes", &memory].map(str::to_owned).to_vec(),
        },
        compile_limits: limits,
    })
}

pub(crate) fn plugin(settings: &PluginSettings) -> PluginOptions {
    PluginOptions {
        instances: match settings.instances {
            settings::Instances::Count(count) => duet_runtime::Instances::Fixed(count),
            settings::Instances::Workers => duet_runtime::Instances::Workers,
        },
        affinity: match settings.affinity {
            settings::Affinity::Connection => duet_runtime::Affinity::Connection,
            settings::Affinity::Uid => duet_runtime::Affinity::Uid,
            settings::Affinity::Any => duet_runtime::Affinity::Any,
        },
        call_budget: settings.call_budget,
        wait_timeout: settings.wait_timeout,
        queue_timeout: settings.queue_timeout,
        memory_bytes: usize::try_from(settings.memory).unwrap_or(usize::MAX),
        table_elements: settings.table_elements,
        log_lines_per_second: settings.log_lines_per_second,
        faults_max: settings.faults_max,
        faults_window: settings.faults_window,
        quarantine: settings.quarantine,
        recycle_calls: Some(settings.recycle_calls).filter(|calls| *calls > 0),
        recycle_memory: Some(usize::try_from(settings.recycle_memory).unwrap_or(usize::MAX)).filter(|bytes| *bytes > 0),
        config: settings.config.to_string(),
    }
}
