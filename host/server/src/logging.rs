//! Sets up the log: to standard error, as text or as JSON lines.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};

use anyhow::anyhow;
use duet_client::{Shown, steers};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::outlet;
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
    // It would write errors of its own to standard error itself, and wait, or panic.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Line).log_internal_errors(false);
    match settings.format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).fmt_fields(debug_fn(write_field).delimited(" ")).try_init(),
        LogFormat::Json => log.with_writer(|| JsonLine).json().flatten_event(true).try_init(),
    }
    .map_err(|e| anyhow!("starting the log: {e}"))
}

const OURS: [&str; 4] = ["gateway", "transport", "runtime", "embedded"];

/// One field of a line. Names of files, and texts of clients and plugins, must neither begin a line of their own nor steer the terminal.
fn write_field(writer: &mut Writer<'_>, field: &tracing::field::Field, value: &dyn fmt::Debug) -> fmt::Result {
    let mut writer = Escaping(writer);
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        name => write!(writer, "{name}={value:?}"),
    }
}

struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write!(self.0, "{}", Shown(text))
    }
}

/// Takes whole lines, one a write.
struct Line;

impl io::Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        outlet::stderr().add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same for JSON, which escapes only characters below the space. All others that steer a terminal can only be inside strings.
struct JsonLine;

impl io::Write for JsonLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let escaped = text.chars().fold(String::with_capacity(line.len()), |mut escaped, c| {
            match c {
                '\n' => escaped.push(c),
                c if steers(c) => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => escaped.push(c),
            }
            escaped
        });
        Line.write(escaped.as_bytes()).map(|_| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
