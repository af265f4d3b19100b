//! Why a connection ended.

use std::io;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the server ended the stream")]
    Stream,
    #[error("the server closed with ws code {0}")]
    CloseFrame(u16),
    #[error("the server broke the format: {0}")]
    Format(String),
    #[error("the server stopped acknowledging")]
    DeadLink,
    #[error("{0}")]
    Io(#[from] io::Error),
}
