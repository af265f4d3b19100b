//! Engines that need nothing installed: the registry of a single process.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod registry;

pub use self::registry::MemoryRegistry;
