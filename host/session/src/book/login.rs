//! Binding a session to an account.

use std::error::Error;
use std::fmt;

use duet_core::{ConnId, Presence, Uid};

use super::Book;
use super::state::Standing;

/// What happens when somebody logs in to an account that is logged in already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateLogin {
    /// The new login wins, and the old session drains.
    KickOld,
    /// The old session stays, and the new login fails.
    Reject,
}

/// A session is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The session that held the uid until now. One with a connection is draining now, and the caller closes the connection; a
    /// suspended one is gone. [`Book::state`] tells which.
    pub replaced: Option<ConnId>,
    /// False if the session was bound to this uid already. Then nothing happened, and its token is still good.
    pub changed: bool,
    /// The other uid that the session was bound to before.
    pub previous: Option<Uid>,
}

/// Why a session was not bound. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindError {
    /// A uid is positive.
    BadUid,
    /// The connection is gone: the session ended, or is suspended.
    Gone,
    /// The server is closing the connection.
    Draining,
    /// This connected session holds the uid, and the policy is to reject.
    AlreadyOnline(ConnId),
}

impl Book {
    /// Binds a connected session to an account. The caller has a plugin's word for it; there is no other way to become bound.
    ///
    /// A session that is bound to another uid is bound to the new one, and its token is void. Its channels stay. A suspended session that holds
    /// the uid gives way under either policy: nobody is there to be disturbed, and a client that logs in again may have lost its token.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind(&mut self, conn: ConnId, uid: Uid, policy: DuplicateLogin) -> Result<Bound, BindError> {
        if uid.0 <= 0 {
            return Err(BindError::BadUid);
        }
        let previous = match self.standings.get(&conn) {
            None | Some(Standing::Suspended { .. }) => return Err(BindError::Gone),
            Some(Standing::Draining) => return Err(BindError::Draining),
            Some(Standing::Anonymous) => None,
            Some(Standing::Bound { uid: same, .. }) if *same == uid => return Ok(Bound { replaced: None, changed: false, previous: None }),
            Some(Standing::Bound { uid, .. }) => Some(*uid),
        };
        let replaced = self.conn_of(uid);
        if let Some(old) = replaced {
            if policy == DuplicateLogin::Reject && self.online(uid) == Presence::Connected {
                return Err(BindError::AlreadyOnline(old));
            }
            self.drain(old);
        }
        // Anonymous, Bound -> Bound: a plugin says whose it is.
        self.set(conn, Some(Standing::Bound { uid, token: None }));
        Ok(Bound { replaced, changed: true, previous })
    }

    /// Undoes a login and returns whose it was; the token is void. The session is anonymous then and keeps its channels. A suspended
    /// session ends: without a login nobody could come back to it.
    pub fn unbind(&mut self, conn: ConnId) -> Option<Uid> {
        let standing = *self.standings.get(&conn)?;
        let uid = standing.uid()?;
        // Suspended -> gone, Bound -> Anonymous: a plugin takes it back.
        if standing.is_suspended() {
            self.end(conn);
        } else {
            self.set(conn, Some(Standing::Anonymous));
        }
        Some(uid)
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUid => f.write_str("a uid must be positive"),
            Self::Gone => f.write_str("the connection is gone"),
            Self::Draining => f.write_str("the connection is being closed"),
            Self::AlreadyOnline(conn) => write!(f, "the uid is online on connection {conn}; unbind that one first"),
        }
    }
}

impl Error for BindError {}
