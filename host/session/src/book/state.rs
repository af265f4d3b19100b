//! Where a session stands.

use duet_core::Uid;

use super::token::TokenHash;

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Connected; nobody vouched for it.
    Anonymous,
    /// Connected, and a plugin said whose it is.
    Bound(Uid),
    /// Bound, and its connection is lost. Its client may come back.
    Suspended(Uid),
    /// The server is closing the connection. Nothing is left of a login.
    Draining,
}

/// An entry of the book: a state and what goes with it. Only with a uid can there be a token, and a suspended session always has one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standing {
    Anonymous,
    Bound { uid: Uid, token: Option<TokenHash> },
    Suspended { uid: Uid, token: TokenHash },
    Draining,
}

impl Standing {
    pub(super) fn state(&self) -> SessionState {
        match *self {
            Self::Anonymous => SessionState::Anonymous,
            Self::Bound { uid, .. } => SessionState::Bound(uid),
            Self::Suspended { uid, .. } => SessionState::Suspended(uid),
            Self::Draining => SessionState::Draining,
        }
    }

    pub(super) fn uid(&self) -> Option<Uid> {
        match *self {
            Self::Bound { uid, .. } | Self::Suspended { uid, .. } => Some(uid),
            Self::Anonymous | Self::Draining => None,
        }
    }

    pub(super) fn token(&self) -> Option<TokenHash> {
        match *self {
            Self::Bound { token, .. } => token,
            Self::Suspended { token, .. } => Some(token),
            Self::Anonymous | Self::Draining => None,
        }
    }

    pub(super) fn is_suspended(&self) -> bool {
        matches!(self, Self::Suspended { .. })
    }
}
