//! What is done about a panic: it ends one connection, or one step of a loop, and everything else goes on.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use duet_core::ConnId;
use duet_core::panic::told;
use futures_util::FutureExt;

use crate::{Sessions, Stats};

/// Pause of a loop after a step that panicked, so that one that always panics does not take a whole core.
const PAUSE: Duration = Duration::from_millis(10);

/// Takes a step of a loop. A panic in it is logged and counted, and the loop goes on.
pub(crate) async fn survive<T>(what: &str, stats: &Stats, step: impl Future<Output = T>) -> Option<T> {
    match AssertUnwindSafe(step).catch_unwind().await {
        Ok(done) => Some(done),
        Err(panic) => {
            let panic = told(panic);
            stats.panic();
            tracing::error!("{what} panicked and goes on: {panic}");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

impl Sessions {
    /// Logs and counts a panic in what served one connection, which the caller ends.
    pub(crate) fn panicked(&self, conn: ConnId, panic: Box<dyn Any + Send>) {
        let panic = told(panic);
        self.stats.panic();
        tracing::error!(%conn, "a panic ends this connection: {panic}");
    }
}
