//! A Duet / due client over tcp, ws and kcp, with TLS and sessions.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod client;
mod endpoint;
mod error;
mod link;
mod options;
mod shown;

pub use client::{Client, Incoming, Reply, Session};
pub use endpoint::{Endpoint, EndpointError, Transport};
pub use error::{ClientError, CloseReason, Foreign};
pub use options::{ClientOptions, KcpOptions, Trust};
pub use shown::{Shown, steers};
