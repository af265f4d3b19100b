//! One session as other threads see it: whom it belongs to, and where to send.

mod handing;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use duet_core::{ConnId, ErrorCode, Route, Uid};
use duet_transport::Writer;

use crate::flow::Flow;
use crate::lock::{Held, Lock, Rank};
use crate::outbox::{Cause, Flushed, Limit, Outbox, OutboxLimits, Taken};
use crate::profile::Profile;
use crate::waiting::Waiting;
use crate::{CloseReason, Overflow};

/// A player's stay: it begins with a connection, and may outlive it. The task of its connection reads; whoever has something to send writes.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: ConnId,
    pub(crate) profile: Arc<Profile>,
    uid: AtomicI64,
    /// Which connection serves it now, by the id of the session that it came with. Changed only under the lock of the book of sessions.
    owner: AtomicU64,
    /// Sent packets are kept, and the client's packets counted.
    retains: AtomicBool,
    /// Packets of the client since it asked for a token.
    taken: AtomicU64,
    /// The session that its task went on with.
    heir: OnceLock<Arc<Self>>,
    address: Lock<SocketAddr>,
    /// Requests and events that no plugin has got yet.
    waiting: Waiting,
    outbox: Lock<Outbox>,
    /// Wakes the task when bytes or events wait, the uid changed, requests are done, or the connection is to end.
    pub(crate) task: Arc<Flow>,
}

impl Session {
    pub(crate) fn new(id: ConnId, profile: Arc<Profile>, address: SocketAddr, writer: Writer) -> Self {
        Self {
            id,
            profile,
            uid: AtomicI64::new(0),
            owner: AtomicU64::new(id.0),
            retains: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            heir: OnceLock::new(),
            address: Lock::new(Rank::Last, address),
            waiting: Waiting::new(),
            outbox: Lock::new(Rank::Outbox, Outbox::new(writer)),
            task: Arc::new(Flow::new()),
        }
    }

    /// The account it is bound to.
    #[inline]
    pub(crate) fn uid(&self) -> Option<Uid> {
        match self.uid.load(Ordering::Acquire) {
            0 => None,
            uid => Some(Uid(uid)),
        }
    }

    /// Makes the account known to its task, after the events that were noted before.
    pub(crate) fn set_uid(&self, uid: Option<Uid>) {
        self.uid.store(uid.map_or(0, |uid| uid.0), Ordering::Release);
        self.task.wake();
    }

    pub(crate) fn is_owned_by(&self, task: u64) -> bool {
        self.owner.load(Ordering::Acquire) == task
    }

    /// Gives it to the task of the connection that resumes it; the old one ends.
    pub(crate) fn inherit(self: &Arc<Self>, by: &Self) {
        drop(by.heir.set(Arc::clone(self)));
        self.owner.store(by.owner.load(Ordering::Acquire), Ordering::Release);
        self.task.wake();
    }

    /// What its task serves now: the session that it went on with, or itself.
    pub(crate) fn heir(self: &Arc<Self>) -> &Arc<Self> {
        std::iter::successors(Some(self), |session| session.heir.get()).last().unwrap_or(self)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.lock()
    }

    pub(crate) fn set_address(&self, address: SocketAddr) {
        *self.address.lock() = address;
    }

    /// Whether sent packets are kept to be sent again.
    #[inline]
    pub(crate) fn retains(&self) -> bool {
        self.retains.load(Ordering::Acquire)
    }

    pub(crate) fn set_retains(&self, retains: bool) {
        self.taken.store(0, Ordering::Relaxed);
        self.retains.store(retains, Ordering::Release);
    }

    /// Stops keeping packets for a resume. Called with the book locked, in which the token is void.
    pub(crate) fn release(&self) {
        let mut outbox = self.outbox();
        self.set_retains(false);
        outbox.release();
    }

    /// Packets of the client since it asked for a token.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    pub(crate) fn limits(&self) -> &OutboxLimits {
        &self.profile.limits
    }

    pub(crate) fn outbox(&self) -> Held<'_, Outbox> {
        self.outbox.lock()
    }

    /// Sends whole packets of the gate itself, after everything sent before. They are not kept for a resume: heartbeats, answers about the
    /// session, and everything for a client without a token. Never blocks.
    pub(crate) fn send(&self, data: &[u8], packets: usize) {
        if data.is_empty() {
            return;
        }
        let taken = self.outbox().send(data, packets, Cause::Asked, self.limits());
        self.look_after(taken);
    }

    /// The same for packets of plugins, unless the client has asked for a token meanwhile and they have to be kept: then it sends nothing
    /// and returns false.
    pub(crate) fn send_unless_retained(&self, data: &[u8], packets: usize, cause: Cause) -> bool {
        let taken = {
            let mut outbox = self.outbox();
            // Checked under the lock: after the answer with the token, the client counts everything.
            if outbox.is_retaining() {
                return false;
            }
            if data.is_empty() { Taken::Done } else { outbox.send(data, packets, cause, self.limits()) }
        };
        self.look_after(taken);
        true
    }

    /// Adds a packet that others may share, without writing it. [`Session::flush`] follows.
    pub(crate) fn add(&self, packet: &Bytes, route: Route, overflow: Overflow, cause: Cause) -> Taken {
        let taken = self.outbox().add(packet, route, overflow, cause, self.limits());
        self.look_after(taken);
        taken
    }

    /// Writes what was added.
    pub(crate) fn flush(&self) {
        let taken = {
            let mut outbox = self.outbox();
            if outbox.is_blocked() {
                return;
            }
            match outbox.flush() {
                Ok(Flushed::All) => Taken::Done,
                Ok(Flushed::Blocked) => Taken::Wake,
                Err(_) => {
                    outbox.abort(CloseReason::Lost);
                    Taken::Wake
                }
            }
        };
        self.look_after(taken);
    }

    pub(crate) fn look_after(&self, taken: Taken) {
        match taken {
            Taken::Done | Taken::Added | Taken::Dropped => {}
            Taken::Wake => self.task.wake(),
            Taken::Overflowed(limit) => {
                self.overflowed(limit);
                self.task.wake();
            }
        }
    }

    #[cold]
    fn overflowed(&self, limit: Limit) {
        let (conn, uid, peer) = (self.id, self.uid().map_or(0, |uid| uid.0), self.address());
        match limit {
            Limit::Packets(most) => {
                tracing::info!(%conn, uid, %peer, "closed as slow_reader: {most} packets waited for it (gateway.write_queue_packets)");
            }
            Limit::Bytes(most) => {
                tracing::info!(%conn, uid, %peer, "closed as slow_reader: {most} bytes waited for it (gateway.write_queue_bytes)");
            }
            Limit::Asked(most) => tracing::info!(
                %conn, uid, %peer,
                "closed as slow_reader: its requests pushed {most} bytes to itself that it did not read (64 x gateway.write_queue_bytes)"
            ),
        }
    }

    /// Whether no more than `most` requests are in flight. If there are more, the task is woken when that is so. The owner changes only
    /// under this lock, so a former owner does not change what the new one waits for.
    pub(crate) fn wait_for_requests(&self, most: usize, owner: u64) -> bool {
        let _as_owner = self.outbox();
        self.is_owned_by(owner) && self.task.wait(most)
    }

    /// Ends it after what was sent so far.
    pub(crate) fn close(&self, reason: CloseReason, text: &str) {
        self.close_with(reason, reason.error_code(), text);
    }

    /// The same with an error packet of this code and text.
    pub(crate) fn close_with(&self, reason: CloseReason, code: Option<ErrorCode>, text: &str) {
        let mut farewell = Vec::new();
        self.profile.farewell(reason, code, text, &mut farewell);
        self.outbox().close(reason, farewell);
        self.task.wake();
    }

    /// Ends it after what was sent so far, for its task. False if it goes on with another one: then nothing is done.
    pub(crate) fn close_as(&self, owner: u64, reason: CloseReason, text: &str) -> bool {
        let mut farewell = Vec::new();
        self.profile.farewell(reason, reason.error_code(), text, &mut farewell);
        {
            let mut outbox = self.outbox();
            if !self.is_owned_by(owner) {
                return false;
            }
            outbox.close(reason, farewell);
        }
        self.task.wake();
        true
    }

    /// Ends it at once; what waits is lost.
    pub(crate) fn cut(&self, reason: CloseReason) {
        self.outbox().abort(reason);
        self.task.wake();
    }
}
