//! What a WebSocket listener agrees to.

use crate::Origins;

/// What is agreed to.
#[derive(Clone, Debug)]
pub struct WsOptions {
    /// The path, beginning with a slash. A query after it is ignored.
    pub path: String,
    /// Which pages may connect.
    pub origins: Origins,
    /// What may be agreed on as `Sec-WebSocket-Protocol`: the first that a client offers and that is in here. A client that offers none of
    /// them gets none.
    pub subprotocols: Vec<String>,
}

impl Default for WsOptions {
    /// At `/`, for pages of the same host.
    fn default() -> Self {
        Self { path: "/".into(), origins: Origins::default(), subprotocols: Vec::new() }
    }
}
