//! Where a connection is in its life.

use std::time::Instant;

use duet_session::{Deadlines, Event, Timeouts};

use crate::CloseReason;

/// How far a connection is from its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The client is read, unless something holds it.
    Reading,
    /// The client sends no more. It gets the answers to what it sent, and then the farewell.
    HalfClosed { reason: CloseReason, farewell: Vec<u8> },
    /// The end is decided: what comes is thrown away, what waits is still written.
    Draining(CloseReason),
    /// Everything is written and our side of the socket is shut: only the client's side has yet to end.
    Shut(CloseReason),
}

/// The stage of a connection, and the deadlines that go with it.
#[derive(Debug)]
pub(super) struct Life {
    stage: Stage,
    pub(super) deadlines: Deadlines,
}

impl Life {
    pub(super) const fn new(timeouts: Timeouts, now: Instant) -> Self {
        Self { stage: Stage::Reading, deadlines: Deadlines::new(timeouts, now) }
    }

    pub(super) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Whether the end is decided.
    pub(super) const fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Draining(_) | Stage::Shut(_))
    }

    /// Why the connection ends if `cause` ends it now. The first cause counts.
    pub(super) const fn ended_by(&self, cause: CloseReason) -> CloseReason {
        match self.stage {
            Stage::Reading => cause,
            Stage::HalfClosed { reason, .. } | Stage::Draining(reason) | Stage::Shut(reason) => reason,
        }
    }

    /// Reading -> HalfClosed: the client sends no more.
    pub(super) fn end_input(&mut self, reason: CloseReason, farewell: Vec<u8>) {
        if self.stage == Stage::Reading {
            self.stage = Stage::HalfClosed { reason, farewell };
            self.deadlines.on(Event::InputEnded, Instant::now());
        }
    }

    /// HalfClosed -> Draining: everything is answered. Returns why the connection ends, and what its client is told last.
    pub(super) fn end_answers(&mut self) -> Option<(CloseReason, Vec<u8>)> {
        let Stage::HalfClosed { reason, farewell } = &mut self.stage else { return None };
        let last = (*reason, std::mem::take(farewell));
        self.drain(last.0);
        Some(last)
    }

    /// Reading, HalfClosed -> Draining: somebody decided to end it. Nothing leads back.
    pub(super) fn drain(&mut self, cause: CloseReason) {
        if !self.is_ending() {
            self.stage = Stage::Draining(self.ended_by(cause));
            self.deadlines.on(Event::Drain, Instant::now());
        }
    }

    /// Draining -> Shut: everything is written.
    pub(super) fn shut(&mut self) {
        if let Stage::Draining(reason) = self.stage {
            self.stage = Stage::Shut(reason);
        }
    }

    /// Tells the deadlines whether the session is bound.
    pub(super) fn set_bound(&mut self, is_bound: bool) {
        if is_bound != self.deadlines.is_bound() {
            self.deadlines.on(if is_bound { Event::Bound } else { Event::Unbound }, Instant::now());
        }
    }

    /// Tells the deadlines whether the client is read.
    pub(super) fn set_held(&mut self, is_held: bool) {
        if is_held != self.deadlines.is_held() {
            self.deadlines.on(if is_held { Event::ReadHeld } else { Event::ReadOn }, Instant::now());
        }
    }

    /// Tells the deadlines that nothing waits to be written.
    pub(super) fn written(&mut self) {
        if self.deadlines.is_blocked() {
            self.deadlines.on(Event::WriteDone, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use duet_session::{Due, Heartbeat};

    use super::*;

    fn life() -> (Life, Instant) {
        let second = Duration::from_secs(1);
        let timeouts = Timeouts {
            first_packet: second * 15,
            authorize: Duration::ZERO,
            packet: second * 5,
            write: second * 10,
            heartbeat: Heartbeat::Respond,
            heartbeat_interval: second * 10,
        };
        let now = Instant::now();
        (Life::new(timeouts, now), now)
    }

    #[test]
    fn the_first_cause_of_the_end_counts_whatever_comes_later() {
        let (mut life, _) = life();
        assert_eq!(life.ended_by(CloseReason::Lost), CloseReason::Lost, "nothing was decided");
        life.end_input(CloseReason::Goodbye, b"bye".to_vec());
        life.end_input(CloseReason::ClientLeft, Vec::new());
        assert_eq!(life.end_answers(), Some((CloseReason::Goodbye, b"bye".to_vec())));
        assert_eq!(life.end_answers(), None, "it is told once");
        life.drain(CloseReason::Kicked);
        life.shut();
        life.drain(CloseReason::Lost);
        assert_eq!((life.stage(), life.ended_by(CloseReason::Lost)), (&Stage::Shut(CloseReason::Goodbye), CloseReason::Goodbye));
    }

    #[test]
    fn the_deadlines_are_told_of_each_stage_once() {
        let (mut life, now) = life();
        let due = |life: &mut Life| {
            let at = life.deadlines.earliest().expect("a deadline");
            ((at - now).as_secs(), life.deadlines.due(at))
        };
        assert_eq!(due(&mut life), (15, Some(Due::FirstPacket)));
        life.end_input(CloseReason::ClientLeft, Vec::new());
        assert_eq!(due(&mut life), (30, Some(Due::Closing)));
        life.drain(CloseReason::Kicked);
        assert_eq!(due(&mut life), (1, Some(Due::Closing)));
        life.end_input(CloseReason::ClientLeft, Vec::new());
        assert_eq!(due(&mut life), (1, Some(Due::Closing)));
    }
}
