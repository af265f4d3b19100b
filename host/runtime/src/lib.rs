//! Runs plugins: checks, compiles, loads and calls components, each within its own budget.
//!
//! The only crate that names wasmtime. It knows no sockets: requests come in by [`duet_core::Dispatch`], effects leave by
//! [`duet_core::Egress`].

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod batch;
mod cache;
mod check;
mod compile;
mod contract;
mod engine;
mod fault;
mod guest;
mod health;
mod host;
mod inbox;
mod load;
mod manifest;
mod meter;
mod options;
mod panic;
mod plugin;
mod runtime;
mod slot;
mod task;
mod worker;

pub use self::compile::{CompileLimits, compile_here};
pub use self::load::{LoadError, Loaded, Loader};
pub use self::manifest::Manifest;
pub use self::options::{Affinity, CompileMode, Instances, PluginOptions, RuntimeOptions};
pub use self::runtime::Runtime;
pub use self::slot::NativeHandler;
