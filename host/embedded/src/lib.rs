//! Engines that need nothing installed: the registry of a single process.

mod registry;

pub use self::registry::MemoryRegistry;
