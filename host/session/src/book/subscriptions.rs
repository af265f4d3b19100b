//! The channels of a session.

use std::error::Error;
use std::fmt;

use duet_core::ConnId;

use super::Book;
use super::state::Standing;

/// Why a session did not join a channel. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// The session ended or drains.
    Gone,
    /// The name is empty or too long.
    Name,
    /// The session is in as many channels as it may.
    TooMany,
}

impl Book {
    /// Makes a session a member of a channel, which begins to exist with its first member. False if it is one already, which is not a
    /// mistake, even at the limit. A session need not be bound for it, and stays a member while it is suspended.
    ///
    /// # Errors
    ///
    /// See [`ChannelError`].
    pub fn subscribe(&mut self, conn: ConnId, channel: &str) -> Result<bool, ChannelError> {
        if matches!(self.standings.get(&conn), None | Some(Standing::Draining)) {
            return Err(ChannelError::Gone);
        }
        if channel.is_empty() || channel.len() > self.limits.channel_bytes {
            return Err(ChannelError::Name);
        }
        if self.channels.contains(conn, channel) {
            return Ok(false);
        }
        if self.channels.count(conn) >= self.limits.channels_per_session {
            return Err(ChannelError::TooMany);
        }
        self.channels.join(conn, channel);
        Ok(true)
    }

    /// Ends a membership. False if there was none. A channel ends with its last member.
    pub fn unsubscribe(&mut self, conn: ConnId, channel: &str) -> bool {
        self.channels.leave(conn, channel)
    }

    /// Ends all memberships of a session. Returns how many there were.
    pub fn unsubscribe_all(&mut self, conn: ConnId) -> usize {
        self.channels.leave_all(conn)
    }

    /// The members of a channel in no particular order, including those that are suspended.
    pub fn members<'a>(&'a self, channel: &str) -> impl ExactSizeIterator<Item = ConnId> + use<'a> {
        self.channels.members(channel).iter().copied()
    }

    /// How many members a channel has. Zero if it does not exist.
    pub fn member_count(&self, channel: &str) -> usize {
        self.channels.members(channel).len()
    }

    /// The channels of a session, in no particular order.
    pub fn channels_of(&self, conn: ConnId) -> impl Iterator<Item = &str> {
        self.channels.of(conn)
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the session is gone",
            Self::Name => "the name of the channel is empty or too long",
            Self::TooMany => "the session is in too many channels; unsubscribe from one first",
        })
    }
}

impl Error for ChannelError {}
