//! Why a client does not become a WebSocket, and what it is told.

use std::io;

use tokio_tungstenite::tungstenite::http::StatusCode;

/// Why a client did not become a WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The handshake was not done in time.
    #[error("no handshake in time")]
    Timeout,
    /// The connection ended or failed before.
    #[error("the connection ended before its handshake did: {0}")]
    Lost(#[from] io::Error),
    /// The client was told what is wrong.
    #[error("refused with {status}: {text}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The text that the client got.
        text: String,
    },
}

pub(super) fn refused(status: StatusCode, text: &str) -> UpgradeError {
    UpgradeError::Refused { status: status.as_u16(), text: text.to_owned() }
}

pub(super) fn refusal(status: u16, text: &str) -> String {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let more = match status {
        // The client has to know what to ask for.
        StatusCode::UPGRADE_REQUIRED => "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        StatusCode::METHOD_NOT_ALLOWED => "Connection: close\r\nAllow: GET\r\n",
        _ => "Connection: close\r\n",
    };
    let (reason, length) = (status.canonical_reason().unwrap_or("Error"), text.len() + 1);
    format!(
        "HTTP/1.1 {} {reason}\r\n{more}Content-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\nContent-Length: {length}\r\n\r\n{text}\n",
        status.as_str()
    )
}
