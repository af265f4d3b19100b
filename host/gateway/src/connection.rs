//! One connection as other threads see it: whom it belongs to, and where to send.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duet_core::{ConnId, Uid};
use futures_util::task::AtomicWaker;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use crate::CloseReason;
use crate::outbox::{Outbox, OutboxLimits};
use crate::profile::Profile;

/// A connection of a client. Its task reads; whoever has something to send writes.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnId,
    pub(crate) profile: Arc<Profile>,
    uid: AtomicI64,
    socket: OwnedWriteHalf,
    outbox: Mutex<Outbox>,
    limits: OutboxLimits,
    /// Wakes the task when bytes wait or the connection is to end.
    pub(crate) task: AtomicWaker,
}

impl Connection {
    pub(crate) fn new(id: ConnId, profile: Arc<Profile>, socket: OwnedWriteHalf, limits: OutboxLimits) -> Self {
        Self { id, profile, uid: AtomicI64::new(0), socket, outbox: Mutex::new(Outbox::new()), limits, task: AtomicWaker::new() }
    }

    /// The account it is bound to.
    #[inline]
    pub(crate) fn uid(&self) -> Option<Uid> {
        match self.uid.load(Ordering::Acquire) {
            0 => None,
            uid => Some(Uid(uid)),
        }
    }

    /// The socket, for readiness and shutting down.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.socket.as_ref()
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends whole packets behind everything sent before. Never blocks.
    pub(crate) fn send(&self, data: &[u8], packets: usize) {
        if data.is_empty() {
            return;
        }
        let wake = self.outbox().send(self.socket(), data, packets, self.limits);
        if wake {
            self.task.wake();
        }
    }

    /// Ends the connection after what was sent so far.
    pub(crate) fn close(&self, reason: CloseReason, text: &str) {
        let mut farewell = Vec::new();
        self.profile.farewell(reason, text, &mut farewell);
        self.outbox().close(reason, farewell);
        self.task.wake();
    }
}
