//! Coming back to a session after its connection was lost.

use std::error::Error;
use std::fmt;

use duet_core::{ConnId, Presence, Uid};

use super::Book;
use super::state::Standing;
use super::token::Token;

/// What became of a session whose connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It ended.
    Ended {
        /// Whom it was bound to.
        uid: Option<Uid>,
    },
    /// It waits for its client.
    Suspended {
        /// Whom it is bound to.
        uid: Uid,
    },
}

/// A session that is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Its id, which the new connection goes by from now on.
    pub conn: ConnId,
    /// Whom it is bound to, as before.
    pub uid: Uid,
    /// What it was a moment ago: [`Presence::Suspended`], or [`Presence::Connected`] if its old connection was still thought alive.
    pub was: Presence,
}

/// Why a token was not issued. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueError {
    /// The connection is gone: the session ended, or is suspended.
    Gone,
    /// Only a bound session can be resumed.
    NotBound,
    /// The token is out already, so it is not random.
    Repeated,
}

/// Why a session was not resumed. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeError {
    /// The connection that asks is gone, draining, or has a login of its own.
    NotAnonymous,
    /// The token is not good. Whether it is unknown, used, void or too old is nobody's business.
    Refused,
}

impl Book {
    /// Remembers the token with which a bound session can be resumed, once. An earlier one is void.
    ///
    /// # Errors
    ///
    /// See [`IssueError`].
    pub fn issue(&mut self, conn: ConnId, token: &Token) -> Result<(), IssueError> {
        let uid = match self.standings.get(&conn) {
            None | Some(Standing::Suspended { .. }) => return Err(IssueError::Gone),
            Some(Standing::Anonymous | Standing::Draining) => return Err(IssueError::NotBound),
            Some(Standing::Bound { uid, .. }) => *uid,
        };
        let token = token.hash();
        if self.tokens.contains_key(&token) {
            return Err(IssueError::Repeated);
        }
        // Bound -> Bound: from now on its client can come back.
        self.set(conn, Some(Standing::Bound { uid, token: Some(token) }));
        Ok(())
    }

    /// The connection of a session is lost. The session is suspended if it is bound, a token is out and there is room for one more;
    /// otherwise it ends. It can be resumed until the caller ends it. What is suspended already stays as it is.
    ///
    /// The id says nothing about which connection was lost. After a session was resumed, the caller must not report the end of its
    /// old connection here: that would suspend it a second time, under the new one.
    pub fn lose(&mut self, conn: ConnId) -> Lost {
        match self.standings.get(&conn).copied() {
            Some(Standing::Bound { uid, token: Some(token) }) if self.suspended < self.limits.suspended_max => {
                // Bound -> Suspended: the connection is lost, and its client can come back.
                self.set(conn, Some(Standing::Suspended { uid, token }));
                Lost::Suspended { uid }
            }
            Some(Standing::Suspended { uid, .. }) => Lost::Suspended { uid },
            _ => Lost::Ended { uid: self.end(conn).and_then(|ended| ended.uid) },
        }
    }

    /// The session that the connection `by` may go on with. Changes nothing: a caller who finds another obstacle leaves the session as it
    /// was, and its token good.
    ///
    /// Tokens are looked up by their hash and never compared with each other. How long that takes depends on bits that nobody can
    /// choose, so it need not take the same time for every token.
    ///
    /// # Errors
    ///
    /// See [`ResumeError`].
    pub fn resumable(&self, by: ConnId, token: &Token) -> Result<Resumed, ResumeError> {
        let Some(Standing::Anonymous) = self.standings.get(&by) else {
            return Err(ResumeError::NotAnonymous);
        };
        let conn = *self.tokens.get(&token.hash()).ok_or(ResumeError::Refused)?;
        match self.standings.get(&conn) {
            Some(Standing::Bound { uid, .. }) => Ok(Resumed { conn, uid: *uid, was: Presence::Connected }),
            Some(Standing::Suspended { uid, .. }) => Ok(Resumed { conn, uid: *uid, was: Presence::Suspended }),
            _ => Err(ResumeError::Refused),
        }
    }

    /// Gives a session to the connection `by`, whose own anonymous session disappears from the book with its channels. The session
    /// is bound again and has its channels; `token` is void, and `fresh` takes its place. If the session was still connected, the
    /// caller closes the old connection.
    ///
    /// # Errors
    ///
    /// As [`Self::resumable`]. A `fresh` that is out already is not random, and is refused too.
    pub fn resume(&mut self, by: ConnId, token: &Token, fresh: &Token) -> Result<Resumed, ResumeError> {
        let resumed = self.resumable(by, token)?;
        let fresh = fresh.hash();
        if self.tokens.contains_key(&fresh) {
            return Err(ResumeError::Refused);
        }
        // Suspended, Bound -> Bound, and Anonymous -> gone for the one that the client asked from.
        self.end(by);
        self.set(resumed.conn, Some(Standing::Bound { uid: resumed.uid, token: Some(fresh) }));
        Ok(resumed)
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the connection is gone",
            Self::NotBound => "the session is not bound to a uid; bind it first",
            Self::Repeated => "this token is out already; take a random one",
        })
    }
}

impl Error for IssueError {}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnonymous => "only a connection without a login of its own can resume a session",
            Self::Refused => "the token is unknown, used, void or too old; log in again",
        })
    }
}

impl Error for ResumeError {}
