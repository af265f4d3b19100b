//! How much memory an instance may take: the sum of all its linear memories and tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::ResourceLimiter;

use crate::options::PluginOptions;

/// Core instances, memories and tables of one component. Tools make a handful of each.
pub(crate) const INSTANCES_MAX: usize = 50;
pub(crate) const MEMORIES_MAX: usize = 10;
pub(crate) const TABLES_MAX: usize = 50;
/// Bytes that wasmtime needs for an element of a table.
const ELEMENT_BYTES: usize = size_of::<usize>();

/// What could not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Memory, which is limited to this many bytes.
    Memory(usize),
    /// Tables, which may have this many elements together.
    Table(usize),
}

/// Bytes of all memories and tables of all instances of a version, for whoever asks.
#[derive(Debug, Default)]
pub(crate) struct MemoryUse(AtomicUsize);

impl MemoryUse {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts what one instance has, and refuses what is too much.
#[derive(Debug)]
pub(crate) struct MemoryLimits {
    bytes_max: usize,
    elements_max: usize,
    bytes: usize,
    elements: usize,
    all: Arc<MemoryUse>,
    /// What was refused in the current call: most guests then trap, for a reason that does not mention it.
    pub(crate) refused: Option<Refused>,
}

impl MemoryLimits {
    pub(crate) const fn new(options: &PluginOptions, all: Arc<MemoryUse>) -> Self {
        Self { bytes_max: options.memory_bytes, elements_max: options.table_elements, bytes: 0, elements: 0, all, refused: None }
    }

    /// Bytes of all memories and tables. Wasm never gives any back.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn grow(&mut self, bytes: usize, elements: usize) -> bool {
        let more = bytes;
        let (bytes, elements) = (self.bytes.saturating_add(bytes), self.elements.saturating_add(elements));
        if elements > self.elements_max {
            self.refused = Some(Refused::Table(self.elements_max));
        } else if bytes > self.bytes_max {
            self.refused = Some(Refused::Memory(self.bytes_max));
        } else {
            (self.bytes, self.elements) = (bytes, elements);
            self.all.0.fetch_add(more, Ordering::Relaxed);
            return true;
        }
        false
    }
}

impl Drop for MemoryLimits {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Growth beyond a memory's own maximum is not counted, because wasmtime refuses it. Growth that fails because the process has no memory
/// left stays counted: such an instance has no future.
impl ResourceLimiter for MemoryLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.grow(desired.saturating_sub(current), 0))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let elements = desired.saturating_sub(current);
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.grow(elements.saturating_mul(ELEMENT_BYTES), elements))
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_and_tables_count_together() {
        let options = PluginOptions { memory_bytes: 1000, table_elements: 50, ..PluginOptions::default() };
        let mut limits = MemoryLimits::new(&options, Arc::default());
        assert!(limits.memory_growing(0, 400, None).unwrap());
        assert!(limits.memory_growing(0, 400, None).unwrap(), "another memory");
        assert!(!limits.memory_growing(400, 401, Some(400)).unwrap(), "beyond its own maximum");
        assert_eq!(limits.refused, None, "that is not ours");
        assert!(limits.table_growing(0, 20, None).unwrap());
        assert_eq!(limits.bytes(), 960);
        assert!(!limits.table_growing(20, 26, None).unwrap(), "no memory for 6 elements");
        assert_eq!(limits.refused.take(), Some(Refused::Memory(1000)));
        assert!(!limits.table_growing(0, 31, None).unwrap(), "20 and 31 elements are too many");
        assert_eq!(limits.refused, Some(Refused::Table(50)));
        assert!(limits.memory_growing(400, 440, None).unwrap());
        assert!(!limits.memory_growing(440, 441, None).unwrap());
        assert!(!limits.memory_growing(0, usize::MAX, None).unwrap());
        assert_eq!(limits.bytes(), 1000);
    }
}
