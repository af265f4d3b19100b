//! `[log]`: what is logged and how it looks.

use duet_config::{Settings as _, Table, choice};

duet_config::settings! {
    /// What is logged and how it looks. Lines go to standard error; up to 1 MiB of them waits for a slow reader, further ones are dropped and
    /// counted.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct LogSettings {
        /// The least important lines that are written.
        pub(crate) level: LogLevel = LogLevel::Info, choice(LEVELS);
        /// How a line looks: for people, or one JSON object a line.
        pub(crate) format: LogFormat = LogFormat::Text, choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    }
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

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogSettings {
    pub(super) fn read_table(mut table: Table<'_>) -> LogSettings {
        let settings = LogSettings::read(&mut table, &LogSettings::default());
        table.finish();
        settings
    }
}
