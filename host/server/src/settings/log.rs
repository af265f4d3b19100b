//! `[log]`: what is logged and how it looks.

use duet_config::{Table, choice};

/// What is logged and how it looks. Lines go to standard error; up to 1 MiB of them waits for a slow reader, further ones are dropped and
/// counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// The least important lines that are written. Default `info`.
    pub(crate) level: LogLevel,
    /// How a line looks. Default `text`.
    pub(crate) format: LogFormat,
}

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    /// Something failed.
    Error,
    /// Something is odd.
    Warn,
    /// Start, stop, plugins that come and go.
    Info,
    /// Each connection.
    Debug,
    /// Each message.
    Trace,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings { level: LogLevel::Info, format: LogFormat::Text }
    }
}

impl LogSettings {
    pub(super) fn read(mut table: Table<'_>) -> LogSettings {
        const LEVELS: &[(&str, LogLevel)] = &[
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ];
        const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
        let default = LogSettings::default();
        let settings = LogSettings {
            level: table.get("level", &choice(LEVELS)).or(default.level),
            format: table.get("format", &choice(FORMATS)).or(default.format),
        };
        table.finish();
        settings
    }
}
