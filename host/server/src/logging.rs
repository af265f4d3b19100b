//! Sets the log up: to stderr, as text or as JSON lines.

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::settings::{LogFormat, LogLevel, LogSettings};

/// Starts logging. What libraries have to say below `warn` is left out.
pub(crate) fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let level = match settings.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let filter = EnvFilter::try_new(format!("warn,duet={level},plugin={level},{}", OURS.map(|c| format!("duet_{c}={level}")).join(",")))?;
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
    .map_err(|e| anyhow!("starting the log: {e}"))
}

const OURS: [&str; 4] = ["gateway", "transport", "runtime", "embedded"];
