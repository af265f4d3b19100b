//! Owns the connections of clients: reads and cuts, routes, writes and closes.
//!
//! It knows no plugin. Requests leave by [`duet_core::Dispatch`], effects come back through [`Connections`], which is the
//! [`duet_core::Egress`] of this process.

mod close;
mod connection;
mod connections;
mod gateway;
mod inbound;
mod options;
mod outbox;
mod profile;
mod stats;
mod task;

pub use self::close::CloseReason;
pub use self::connections::Connections;
pub use self::gateway::Gateway;
pub use self::options::{GatewayOptions, ListenerOptions, Protocol};
pub use self::stats::Stats;
