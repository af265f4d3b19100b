//! A Duet / due client over tcp and ws, the load generator, and the floors it is held against.

pub mod bare_echo;
pub mod console;
pub mod load;

mod client;
mod endpoint;
mod error;
mod link;
mod seq;

pub use client::{Client, ClientOptions, Incoming, Reply};
pub use endpoint::{Endpoint, EndpointError, Transport};
pub use error::{ClientError, CloseReason};
