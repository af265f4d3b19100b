//! The WebSocket handshake. Frames after it are the business of `codec`, on the plain stream.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Why a client did not become a WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The request did not come in time.
    #[error("no handshake within {0:?}")]
    Timeout(Duration),
    /// It was no handshake, or one for another path.
    #[error("{0}")]
    Refused(Box<Error>),
}

/// Answers the handshake and gives the stream back: the client has to wait for the answer, so nothing of its first frame is lost.
///
/// # Errors
/// [`UpgradeError`]; the client got an HTTP error if it asked for another path.
pub async fn upgrade(stream: TcpStream, path: &str, timeout: Duration) -> Result<TcpStream, UpgradeError> {
    // The buffers live only as long as the handshake.
    let config = WebSocketConfig::default().read_buffer_size(4 << 10).write_buffer_size(0);
    #[allow(clippy::result_large_err, reason = "the signature is the library's")]
    let check_path = |request: &Request, response: Response| {
        if request.uri().path() == path {
            return Ok(response);
        }
        let mut refused = ErrorResponse::new(Some(format!("the game is at {path}\n")));
        *refused.status_mut() = StatusCode::NOT_FOUND;
        Err(refused)
    };
    let handshake = tokio_tungstenite::accept_hdr_async_with_config(stream, check_path, Some(config));
    match tokio::time::timeout(timeout, handshake).await {
        Ok(Ok(socket)) => Ok(socket.into_inner()),
        Ok(Err(error)) => Err(UpgradeError::Refused(Box::new(error))),
        Err(_) => Err(UpgradeError::Timeout(timeout)),
    }
}
