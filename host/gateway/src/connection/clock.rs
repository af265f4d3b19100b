//! What a connection does when a deadline has passed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use duet_session::{Due, Event};
use tokio::time::Sleep;

use super::Connection;
use crate::CloseReason;
use crate::outbox::Load;

/// How soon a deadline is checked again if something has arrived that is not read yet.
const ARRIVING: Duration = Duration::from_millis(5);
/// When the clock is checked if there is no deadline.
const FAR: Duration = Duration::from_secs(3600);

impl Connection {
    /// When the clock has to be checked next.
    pub(super) fn next_look(&self) -> Instant {
        self.next_due().unwrap_or_else(|| Instant::now() + FAR)
    }

    fn next_due(&self) -> Option<Instant> {
        [self.life.deadlines.earliest(), self.paused].into_iter().flatten().min()
    }

    /// Does what is due. Ready when the connection is over.
    pub(super) fn poll_clock(&mut self, cx: &mut Context<'_>, mut clock: Pin<&mut Sleep>) -> Poll<CloseReason> {
        loop {
            // Deadlines move with every packet; the timer is only moved when it would come too late.
            if let Some(next) = self.next_due().filter(|next| *next < clock.deadline().into_std()) {
                clock.as_mut().reset(next.into());
            }
            if clock.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if self.paused.is_some_and(|until| until <= now) {
                self.paused = None;
                cx.waker().wake_by_ref();
            }
            // A plugin may have bound it meanwhile, or what was just read has resumed a session.
            self.life.set_bound(self.session.uid().is_some());
            match self.life.deadlines.due(now) {
                None => {}
                Some(Due::Heartbeat) => self.beat(now),
                Some(Due::Closing) => return Poll::Ready(self.life.ended_by(CloseReason::Lost)),
                Some(Due::Write) => {
                    if let Poll::Ready(reason) = self.judge_writing(cx, now) {
                        return Poll::Ready(reason);
                    }
                }
                // What came in time counts, read or not.
                Some(due) if due != Due::Authorize && self.socket.has_arrived() => {
                    clock.as_mut().reset((now + ARRIVING).into());
                    if clock.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                Some(due) => {
                    let reason = match due {
                        Due::FirstPacket => CloseReason::FirstPacketTimeout,
                        Due::Packet => CloseReason::PacketTimeout,
                        Due::Authorize => CloseReason::AuthorizeTimeout,
                        _ => CloseReason::Silence,
                    };
                    self.end(reason, "");
                    if let Poll::Ready(reason) = self.poll_write(cx) {
                        return Poll::Ready(reason);
                    }
                }
            }
            clock.as_mut().reset(self.next_look().into());
        }
    }

    fn beat(&mut self, now: Instant) {
        let mut packet = Vec::new();
        self.session.profile.heartbeat(&mut packet);
        self.session.send(&packet, 1);
        self.life.deadlines.on(Event::HeartbeatSent, now);
    }

    /// Ends a connection whose client takes nothing. What it takes at this moment still counts.
    fn judge_writing(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<CloseReason> {
        let mut outbox = self.session.outbox();
        if !self.session.is_owned_by(self.owner) {
            return Poll::Ready(CloseReason::Resumed);
        }
        if outbox.insist().is_err() {
            return Poll::Ready(self.life.ended_by(CloseReason::Lost));
        }
        if outbox.accepted() != self.accepted {
            self.accepted = outbox.accepted();
            self.life.deadlines.on(Event::WriteProgress, now);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Load { packets, bytes } = outbox.waiting();
        drop(outbox);
        let (conn, uid, peer) = (self.session.id, self.session.uid().map_or(0, |uid| uid.0), self.session.address());
        let write = self.session.profile.timeouts.write;
        tracing::info!(%conn, uid, %peer, packets, bytes, "closed as write_timeout: it took nothing for {write:?} (gateway.write_timeout)");
        Poll::Ready(self.life.ended_by(CloseReason::WriteTimeout))
    }
}
