//! What is said to people on standard output and standard error. Either may be closed, full or without a reader.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write as _};
use std::process::ExitCode;

use duet_client::Shown;

use crate::outlet;

/// What a shell shows for a program that a closed pipe has ended: 128 and SIGPIPE.
const CLOSED: u8 = 141;

/// Standard output cannot be written.
#[derive(Debug)]
pub(crate) struct OutputError(io::Error);

impl OutputError {
    /// Reports it, unless it only means that the reader is gone. Returns how the process ends.
    pub(crate) fn end(&self) -> ExitCode {
        if self.0.kind() == io::ErrorKind::BrokenPipe {
            return ExitCode::from(CLOSED);
        }
        complain(format_args!("duet: {self}"));
        ExitCode::FAILURE
    }
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl Display for OutputError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

impl std::error::Error for OutputError {}

/// Prints lines to standard output, with control characters escaped.
///
/// # Errors
/// It is closed or full.
pub(crate) fn print(lines: impl Display) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", shown(lines))?;
    Ok(out.flush()?)
}

/// Prints lines of a server, which goes on if they are not taken.
pub(crate) fn announce(lines: impl Display) {
    let lines = lines.to_string();
    // A pipe that nobody reads may hold this thread up indefinitely, and nobody waits for it.
    let printing = std::thread::Builder::new().name("duet-stdout".to_owned()).spawn(move || print(lines).inspect_err(warn));
    drop(printing.inspect_err(warn));
}

/// Says lines on standard error, without waiting.
pub(crate) fn complain(lines: impl Display) {
    outlet::stderr().add(format!("{}\n", shown(lines)).as_bytes());
}

fn warn(error: &impl Display) {
    tracing::warn!("{error}; the server goes on");
}

/// Lines without anything that steers a terminal.
fn shown(lines: impl Display) -> String {
    let lines = lines.to_string();
    lines.split('\n').map(|line| Shown(line).to_string()).collect::<Vec<_>>().join("\n")
}
