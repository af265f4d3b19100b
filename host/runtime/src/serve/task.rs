//! The asynchronous lane: one thread on which each instance is a task, so that one that waits lets the others go on.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::panic;
use crate::serve::slot::Slot;

/// Plugins that may be waiting to be taken over by the thread.
const NEW_MAX: usize = 64;

/// The thread of the lane; ends it when dropped.
#[derive(Debug)]
pub(crate) struct WaitingLane {
    slots: Option<mpsc::Sender<Slot>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl WaitingLane {
    pub(crate) fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (slots, mut new) = mpsc::channel::<Slot>(NEW_MAX);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let thread = panic::thread("duet-waiting".to_owned(), move || {
            runtime.block_on(async {
                while let Some(slot) = new.recv().await {
                    tasks.spawn(serve(slot, stopped.clone()));
                }
                while tasks.join_next().await.is_some() {}
            });
        })?;
        Ok(Self { slots: Some(slots), stop, thread: Some(thread) })
    }

    /// Hands a slot over. Call it outside of any runtime.
    pub(crate) fn install(&self, slot: Slot) {
        if let Some(slots) = &self.slots {
            drop(slots.blocking_send(slot));
        }
    }
}

impl Drop for WaitingLane {
    fn drop(&mut self) {
        self.slots = None;
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve(mut slot: Slot, mut stopped: watch::Receiver<bool>) {
    let inbox = Arc::clone(&slot.inbox);
    loop {
        // A slot that panicked may have more to do.
        while guarded(slot.step()).await.unwrap_or(true) {
            tokio::task::yield_now().await;
        }
        tokio::select! {
            () = inbox.filled() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
    guarded(slot.stop()).await;
}

/// `None` after a panic.
async fn guarded<T>(future: impl Future<Output = T>) -> Option<T> {
    panic::contained_async(future).await.inspect_err(|panic| panic::report("the waiting lane", panic)).ok()
}
