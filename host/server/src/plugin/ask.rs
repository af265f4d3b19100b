//! One question to a running server.

use std::io::{self, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use duet_control::{Answer, AnswerError, LineError, read_line};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Uid, geteuid};

/// The longest answer in bytes: thousands of plugins with dozens of routes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("no server reached at {}: {source}{}", path.display(), hint(.source))]
    Unreached { path: PathBuf, source: io::Error },
    #[error("{} belongs to another user, who could be anybody; nothing was asked", .0.display())]
    Foreign(PathBuf),
    #[error("the server ended before it answered; its log says why")]
    Ended,
    #[error("the server was asked, and its answer cannot be read: {0}")]
    Line(#[from] LineError),
    #[error("the server was asked, and its answer cannot be read: {0}")]
    Answer(#[from] AnswerError),
    #[error("the server cannot be asked: {0}")]
    Io(#[from] io::Error),
}

/// What to try.
fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "; run this where the server runs, or name its socket with --control or its settings with --config"
        }
        io::ErrorKind::PermissionDenied => "; only the user of the server and root may ask",
        _ => "",
    }
}

/// Sends a line and waits for its answer, for as long as the server works on it.
pub(super) fn ask(path: &Path, line: &str) -> Result<Answer, AskError> {
    let at = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let stream = UnixStream::connect(path).map_err(|source| AskError::Unreached { path: at.clone(), source })?;
    let owner = socket_peercred(&stream).map_err(io::Error::from)?.uid;
    if owner != geteuid() && owner != Uid::ROOT && geteuid() != Uid::ROOT {
        return Err(AskError::Foreign(at));
    }
    match (&stream).write_all(format!("{line}\n").as_bytes()) {
        // A server that turns somebody away says why and does not wait for the question.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        sent => sent?,
    }
    match read_line(&mut BufReader::new(&stream), ANSWER_BYTES_MAX) {
        Ok(Some(line)) => Ok(Answer::parse(&line)?),
        Ok(None) | Err(LineError::Torn) => Err(AskError::Ended),
        Err(LineError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => Err(AskError::Ended),
        Err(error) => Err(error.into()),
    }
}
