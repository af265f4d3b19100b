//! From settings to the options of each crate.

use anyhow::Context;
use duet_codec::Format;
use duet_gateway::{GatewayOptions, ListenerOptions, Protocol};
use duet_runtime::{CompileLimits, CompileMode, PluginOptions, RuntimeOptions};
use duet_session::Timeouts;

use crate::settings::{self, GatewaySettings, ListenerSettings, PluginSettings, Settings};

/// Number of threads that `0` stands for.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}

pub(crate) fn gateway(settings: &GatewaySettings) -> GatewayOptions {
    GatewayOptions {
        connections_max: settings.connections_max,
        write_queue_packets: settings.write_queue_packets,
        write_queue_bytes: settings.write_queue_bytes,
        handshake_timeout: settings.handshake_timeout,
    }
}

pub(crate) fn listener(settings: &Settings, listener: &ListenerSettings) -> anyhow::Result<ListenerOptions> {
    let (gateway, codec) = (&settings.gateway, &settings.codec);
    let profile = match listener.profile {
        settings::Profile::Due2 => duet_codec::Profile::Due2,
        settings::Profile::Seed => duet_codec::Profile::Seed,
    };
    let byte_order = match listener.byte_order {
        settings::ByteOrder::Big => duet_codec::ByteOrder::Big,
        settings::ByteOrder::Little => duet_codec::ByteOrder::Little,
    };
    let body_bytes_max = u32::try_from(codec.body_bytes_max).context("codec.body_bytes_max")?;
    Ok(ListenerOptions {
        protocol: match listener.protocol {
            settings::Protocol::Tcp => Protocol::Tcp,
            settings::Protocol::Ws => Protocol::Ws { path: listener.path.clone() },
        },
        address: listener.address,
        format: Format::new(profile, byte_order, listener.route_bytes, listener.seq_bytes, body_bytes_max)?,
        timeouts: Timeouts {
            first_packet: gateway.first_packet_timeout,
            packet: gateway.packet_timeout,
            write: gateway.write_timeout,
            heartbeat: match listener.heartbeat {
                settings::Heartbeat::Resp => duet_session::Heartbeat::Respond,
                settings::Heartbeat::Tick => duet_session::Heartbeat::Tick,
                settings::Heartbeat::Off => duet_session::Heartbeat::Off,
            },
            heartbeat_interval: listener.heartbeat_interval,
        },
        heartbeat_time: listener.heartbeat_time,
        error_packets: listener.error_packets,
    })
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
        config: settings.config.to_string(),
    }
}
