//! Runs plugins: checks, compiles, loads and calls components, each within its own budget.
//!
//! The only crate that names wasmtime. It knows no sockets: requests come in by [`duet_core::Dispatch`], effects leave by
//! [`duet_core::Egress`].

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod call;
mod host;
mod load;
mod options;
mod panic;
mod serve;

pub use self::load::compile::{CompileLimits, CompileMode, compile_here};
pub use self::load::id::VersionId;
pub use self::load::manifest::{Keeps, Manifest};
pub use self::load::{LoadError, Loaded, Loader, Underway};
pub use self::options::{Affinity, Instances, PluginOptions, RuntimeOptions};
pub use self::serve::Runtime;
pub use self::serve::counters::Counts;
pub use self::serve::instance::NativeHandler;
pub use self::serve::record::{Change, Happened, StateMoved};
pub use self::serve::snapshot::PluginSnapshot;
pub use self::serve::swap::{SwapError, Swapped};
