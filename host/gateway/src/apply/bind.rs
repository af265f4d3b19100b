//! Binding a session to a uid, and how often a plugin may.

use duet_core::{Action, ConnId, Effect, ErrorCode, Origin, Request, RequestKind, Source, Uid};
use duet_session::BindError;

use super::{Application, bit};
use crate::Refusal;

impl Application<'_> {
    /// Binds a session. If that is refused, the later effects of the same request are dropped.
    pub(super) fn bind(&mut self, origin: Origin, conn: ConnId, uid: Uid, out: &mut Vec<u8>) {
        let Err(error) = self.try_bind(origin, conn, uid) else { return };
        self.refused |= bit(origin);
        let refusal = error.refusal();
        if let Some(refusal) = refusal {
            self.sessions.stats.refuse(refusal);
        }
        if refusal == Some(Refusal::Bind) {
            let Request { kind, route, .. } = origin.source.request();
            tracing::warn!(%conn, %uid, kind = kind.name(), %route, "not bound: {error}");
        } else {
            tracing::debug!(%conn, %uid, "not bound: {error}");
        }
        if let Source::Client { conn: asker, .. } = origin.source {
            let (code, text) = (error.code(), error.to_string());
            let text = if refusal == Some(Refusal::Bind) { text.as_str() } else { code.text() };
            self.send(asker, &[Effect { origin, action: Action::Error(code, text) }], out);
        }
    }

    fn try_bind(&mut self, origin: Origin, conn: ConnId, uid: Uid) -> Result<(), NotBound> {
        let sessions = self.sessions;
        let session = sessions.find(conn).ok_or(BindError::Gone)?;
        let mut book = sessions.book();
        // Each bind is an event that waits for plugins. Their number is bounded by that of the requests, and a bind event never leads to
        // another.
        if book.uid_of(conn) != Some(uid) {
            if matches!(origin.source, Source::Event { kind: RequestKind::Bind, .. }) {
                return Err(NotBound::ByBind);
            }
            if self.bound & bit(origin) != 0 {
                return Err(NotBound::Again);
            }
            if !session.has_room_for_event() {
                return Err(NotBound::Events);
            }
        }
        let bound = book.bind(conn, uid, session.profile.sessions.duplicate_login)?;
        if bound.changed {
            self.bound |= bit(origin);
            // Noted before the uid becomes visible: no message carries a uid ahead of the event that explains it.
            sessions.event(&session, RequestKind::Bind, Some(uid), "");
            // The token of the login before is void, and so is what was kept for it.
            if bound.previous.is_some() {
                session.release();
            }
            session.set_uid(Some(uid));
        }
        // Under the lock of the book: otherwise the old one could resume another session before it is closed.
        if let Some(old) = bound.replaced {
            sessions.replace(old);
        }
        Ok(())
    }
}

/// Why a session is not bound.
#[derive(Debug, thiserror::Error)]
enum NotBound {
    #[error(transparent)]
    Book(#[from] BindError),
    #[error("a request binds at most once")]
    Again,
    #[error("a handler of the bind event does not bind")]
    ByBind,
    #[error("too many events of the connection wait for a plugin")]
    Events,
}

impl NotBound {
    /// As what it is counted; not at all if there is nobody left to bind.
    const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Book(BindError::AlreadyOnline(_)) => Some(Refusal::DuplicateLogin),
            Self::Book(_) => None,
            Self::Again | Self::ByBind | Self::Events => Some(Refusal::Bind),
        }
    }

    const fn code(&self) -> ErrorCode {
        match self {
            Self::Book(BindError::AlreadyOnline(_)) => ErrorCode::ALREADY_ONLINE,
            Self::Book(_) => ErrorCode::SESSION_GONE,
            Self::Again | Self::ByBind => ErrorCode::HANDLER,
            Self::Events => ErrorCode::BUSY,
        }
    }
}
