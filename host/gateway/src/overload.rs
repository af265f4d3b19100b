//! Watches the memory of this process, so that the gate takes less before memory runs out.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::MemoryMarks;

/// How often memory is measured. A read of /proc takes some 10 us.
const STEP: Duration = Duration::from_millis(100);

/// Size of a block that an allocator takes from the system and not from a heap of its own. The block is never written to.
const STIR_BYTES: usize = 4 << 20;

/// How short memory is.
#[derive(Debug, Default)]
pub(crate) struct Load(AtomicU8);

impl Load {
    /// No new connections.
    pub(crate) fn is_high(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 1
    }

    /// No new messages.
    pub(crate) fn is_critical(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 2
    }
}

/// Keeps [`Load`] up to date until it is dropped.
pub(crate) async fn watch(load: &Load, marks: MemoryMarks) {
    // Open from the start: when connections have taken all file descriptors, memory is watched all the same.
    let statm = File::open("/proc/self/statm").ok();
    loop {
        let Some(bytes) = statm.as_ref().and_then(resident) else {
            tracing::warn!("the memory of this process cannot be read from /proc/self/statm: it is not watched");
            return;
        };
        let level = u8::from(bytes > marks.high) + u8::from(bytes > marks.critical);
        let before = load.0.swap(level, Ordering::Relaxed);
        if level != before {
            let mib = bytes >> 20;
            match level {
                0 => tracing::info!(mib, "memory is no longer short"),
                1 => tracing::warn!(mib, "memory is short: no new connections"),
                _ => tracing::error!(mib, "memory is very short: messages are answered busy"),
            }
        }
        if level > 0 {
            // An allocator gives freed memory back when it is used. While everything is refused, nobody else uses it, so nothing would
            // change.
            drop(std::hint::black_box(Vec::<u8>::with_capacity(STIR_BYTES)));
        }
        tokio::time::sleep(STEP).await;
    }
}

/// Resident memory in bytes.
fn resident(statm: &File) -> Option<u64> {
    let mut text = [0; 256];
    let length = statm.read_at(&mut text, 0).ok()?;
    let pages: u64 = std::str::from_utf8(text.get(..length)?).ok()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
