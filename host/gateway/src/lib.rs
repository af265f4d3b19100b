//! Owns the connections of clients: reads and cuts, routes, writes and closes; knows who is bound to which uid and in which channel.
//!
//! It knows no plugin. Requests leave by [`duet_core::Dispatch`], effects come back through [`Sessions`], which is the
//! [`duet_core::Egress`] and the [`duet_core::Directory`] of this process.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod accept;
mod apply;
mod close;
mod connection;
mod flow;
mod gateway;
mod inbound;
mod life;
mod lock;
mod options;
mod outbox;
mod overload;
mod panics;
mod place;
mod profile;
mod resume;
mod retained;
mod session;
mod sessions;
mod shared;
mod stats;
mod throttle;
mod waiting;

pub use self::accept::PARTINGS_MAX;
pub use self::close::CloseReason;
pub use self::gateway::{Gateway, OpenError};
pub use self::options::{
    GatewayOptions, LimitOptions, ListenerOptions, MemoryMarks, MemoryOptions, Notices, Overflow, Protocol, Rates, RoutePolicy,
    SessionOptions, describe_channel, describe_close_codes, describe_route, read_channels, read_close_codes, read_routes,
};
pub use self::sessions::Sessions;
pub use self::stats::{Refusal, Stats};
