//! What is done about a panic of the driver: it ends the one connection it was busy with.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;

use duet_core::panic::told;

use super::{Connection, End};

impl Connection {
    /// Does something for this connection. `None` after a panic, which ended the connection: the driver forgets it at its next look.
    pub(in crate::kcp) fn contain<T>(&self, serve: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(serve)).map_err(|panic| self.give_up(&told(panic))).ok()
    }

    fn give_up(&self, panic: &str) {
        self.port.stats().panics.fetch_add(1, Ordering::Relaxed);
        tracing::error!(peer = %self.key.peer, "a panic ends this kcp session: {panic}");
        let now = Instant::now();
        let mut state = self.state.lock();
        state.timer = Some(now);
        Self::finish(state, End::Dead);
        self.port.timers().arm(now, self.key);
    }
}
