//! What a plugin does with a session besides binding it: channels, unbind, kick.

use duet_core::{ErrorCode, Target};

use super::Application;
use crate::{CloseReason, Refusal};

impl Application<'_> {
    pub(super) fn subscribe(&self, who: Target, channel: &str) {
        if let Some(session) = self.target(who)
            && let Err(error) = self.sessions.book().subscribe(session.id, channel)
        {
            self.sessions.stats.refuse(Refusal::Channel);
            tracing::debug!(conn = %session.id, channel, "not subscribed: {error}");
        }
    }

    /// Ends a membership; all of them if the channel has no name.
    pub(super) fn unsubscribe(&self, who: Target, channel: &str) {
        let Some(session) = self.target(who) else { return };
        if channel.is_empty() {
            self.sessions.book().unsubscribe_all(session.id);
        } else {
            self.sessions.book().unsubscribe(session.id, channel);
        }
    }

    /// Bound -> Anonymous, Suspended -> gone. All of it under the lock of the book, so that the session never contradicts the book.
    pub(super) fn unbind(&self, who: Target) {
        let mut book = self.sessions.book();
        let Some(session) = self.target_in(&book, who) else { return };
        book.unbind(session.id);
        session.set_uid(None);
        session.release();
        if book.state(session.id).is_none() {
            // It was suspended: nobody can come back to it now.
            session.cut(CloseReason::Expired);
        }
    }

    /// Anonymous, Bound -> Draining, Suspended -> gone. Under the lock of the book: a resume is over before it, or finds that the token is
    /// void.
    pub(super) fn kick(&self, who: Target, code: ErrorCode, text: &str, at_once: bool) {
        let mut book = self.sessions.book();
        let Some(session) = self.target_in(&book, who) else { return };
        book.drain(session.id);
        if at_once {
            session.cut(CloseReason::Kicked);
        } else {
            session.close_with(CloseReason::Kicked, Some(code), text);
        }
    }
}
