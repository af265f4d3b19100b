//! A Duet / due client over tcp, ws and kcp, with TLS and sessions, the load generator, and the floors it is held against.

pub mod bare_echo;
pub mod console;
pub mod load;

mod client;
mod endpoint;
mod error;
mod link;
mod options;
mod seq;

pub use client::{Client, Incoming, Reply, Session};
pub use endpoint::{Endpoint, EndpointError, Transport};
pub use error::{ClientError, CloseReason};
pub use options::{ClientOptions, KcpOptions, Trust};
