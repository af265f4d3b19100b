//! The load generator: one thread, edge-triggered readiness, a window of outstanding requests on each connection, every reply checked.
//! Besides, it makes other loads in the same way: broadcasts to many, connecting over and over, and idle connections.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod broadcast;
mod connection;
mod connects;
mod dial;
mod end;
mod error;
mod frames;
mod idle;
mod inlet;
mod kcp;
mod line;
mod measure;
mod options;
mod outstanding;
mod process;
mod readiness;
mod report;
mod run;
mod tally;
mod ws;

pub use broadcast::{Audience, BroadcastOptions, broadcast};
pub use connects::{ConnectsOptions, connects};
pub use error::LoadError;
pub use idle::{IdleOptions, IdleProgress, IdleReport, ServerCost, hold_idle};
pub use kcp::Loss;
pub use measure::Progress;
pub use options::{LoadBody, LoadOptions};
pub use process::ProcessError;
pub use report::{LoadReport, LoadTable};
pub use run::run;
