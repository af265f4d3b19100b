//! Sockets: listening with clear errors, accepting without giving up, and the WebSocket handshake.

mod listener;
mod upgrade;

pub use self::listener::{BindError, Listener};
pub use self::upgrade::{UpgradeError, upgrade};
