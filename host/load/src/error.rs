//! Why a load could not be made.

use std::io;

use duet_client::Endpoint;
use duet_codec::EncodeError;

use super::process::ProcessError;

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An option that makes no sense.
    #[error("{0}")]
    Options(&'static str),
    /// The request does not fit the format.
    #[error("the request does not fit the format")]
    Encode(#[from] EncodeError),
    /// A connection could not be opened.
    #[error("cannot open connection {number} to {endpoint}")]
    Dial {
        /// Which one, from 1.
        number: usize,
        /// The server.
        endpoint: Endpoint,
        /// What the system said, or what was wrong with the answer to the ws upgrade.
        source: io::Error,
    },
    /// The system's readiness queue failed.
    #[error("waiting for the sockets failed")]
    Poll(#[source] io::Error),
    /// The figures of the server's process cannot be read.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The first answers, without which nothing can be measured, did not come.
    #[error("{0}")]
    Setup(String),
    /// Every connection ended before the time was over.
    #[error("all connections ended; the last because {0}")]
    AllEnded(String),
}
