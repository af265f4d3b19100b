//! The book of all sessions of a gate: who is bound, who is suspended, who is in which channel.

mod channels;
pub(crate) mod login;
pub(crate) mod resumption;
pub(crate) mod state;
pub(crate) mod subscriptions;
pub(crate) mod token;

use std::collections::HashMap;

use duet_config::integer;
use duet_core::{ConnId, Presence, Uid};

use self::channels::Channels;
use self::state::{SessionState, Standing};
use self::token::TokenHash;

duet_config::settings! {
    /// How large the book may become.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SessionLimits {
        /// Channels that one connection may be in. A further subscription is refused.
        pub channels_per_session["channels_per_connection"]: usize = 64, integer().range(0..=65_536);
        /// Lost sessions that wait for their clients at one time. A further lost connection ends its session. Each may hold `resume_bytes`.
        pub suspended_max: usize = 10_000, integer().range(0..=10_000_000);
        ..
        /// Bytes in the name of a channel.
        pub channel_bytes: usize = 255;
    }
}

/// All sessions of a gate.
///
/// A session begins with a connection and has its id from then on, the one that plugins know. It outlives the connection when it
/// was bound and a token was issued for it: then it is suspended until its client resumes it from a new connection.
///
/// Nothing here blocks, waits or asks what time it is. Every method takes constant time, or time for each item it returns or removes.
#[derive(Debug)]
pub struct Book {
    limits: SessionLimits,
    standings: HashMap<ConnId, Standing>,
    /// Indexes into `standings`, and a count. Only [`Self::set`] changes these three.
    uids: HashMap<Uid, ConnId>,
    tokens: HashMap<TokenHash, ConnId>,
    suspended: usize,
    channels: Channels,
}

/// How many sessions and channels there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions with a connection, bound or not, including those that drain.
    pub connected: usize,
    /// Of these, the ones that are bound.
    pub bound: usize,
    /// Sessions that wait for their client.
    pub suspended: usize,
    /// Channels with at least one member.
    pub channels: usize,
}

/// What a session had when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whom it was bound to.
    pub uid: Option<Uid>,
    /// How many channels it was in.
    pub channels: usize,
}

impl Book {
    /// A book without sessions.
    pub fn new(limits: SessionLimits) -> Self {
        Self {
            limits,
            standings: HashMap::new(),
            uids: HashMap::new(),
            tokens: HashMap::new(),
            suspended: 0,
            channels: Channels::default(),
        }
    }

    /// Begins an anonymous session for a connection that was just accepted. Does nothing if the id is in the book already.
    pub fn open(&mut self, conn: ConnId) {
        // New -> Anonymous: a connection was accepted.
        self.standings.entry(conn).or_insert(Standing::Anonymous);
    }

    /// The state of a session. `None` if it is not in the book.
    pub fn state(&self, conn: ConnId) -> Option<SessionState> {
        self.standings.get(&conn).map(|standing| standing.state())
    }

    /// The session that is bound to an account, connected or suspended.
    pub fn conn_of(&self, uid: Uid) -> Option<ConnId> {
        self.uids.get(&uid).copied()
    }

    /// The account that a session is bound to, connected or suspended.
    pub fn uid_of(&self, conn: ConnId) -> Option<Uid> {
        self.standings.get(&conn).and_then(|standing| standing.uid())
    }

    /// Whether somebody is logged in as this account. A suspended session counts until [`Self::end`] ends it.
    pub fn online(&self, uid: Uid) -> Presence {
        match self.uids.get(&uid).and_then(|conn| self.standings.get(conn)) {
            None => Presence::Offline,
            Some(standing) if standing.is_suspended() => Presence::Suspended,
            Some(_) => Presence::Connected,
        }
    }

    /// The server is going to close the connection: from now on the session can only end. Its login and its token are void, and it has left
    /// its channels. Returns whom it was bound to, which cannot be looked up later.
    ///
    /// A suspended session has no connection to wait for; it ends at once.
    pub fn drain(&mut self, conn: ConnId) -> Option<Uid> {
        let standing = *self.standings.get(&conn)?;
        self.channels.leave_all(conn);
        // Anonymous, Bound, Draining -> Draining; Suspended -> gone: the server ends it.
        self.set(conn, (!standing.is_suspended()).then_some(Standing::Draining));
        standing.uid()
    }

    /// Removes a session in any state, with whatever is left of it. `None` if it is not in the book.
    pub fn end(&mut self, conn: ConnId) -> Option<Ended> {
        let channels = self.channels.leave_all(conn);
        // Any -> gone.
        let standing = self.set(conn, None)?;
        Some(Ended { uid: standing.uid(), channels })
    }

    /// How many sessions and channels there are.
    pub fn counts(&self) -> Counts {
        Counts {
            connected: self.standings.len() - self.suspended,
            bound: self.uids.len() - self.suspended,
            suspended: self.suspended,
            channels: self.channels.len(),
        }
    }

    /// Changes or removes an entry of the book, and the indexes with it. Returns the entry as it was.
    fn set(&mut self, conn: ConnId, to: Option<Standing>) -> Option<Standing> {
        let from = match to {
            Some(to) => self.standings.insert(conn, to),
            None => self.standings.remove(&conn),
        };
        if let Some(from) = from {
            if let Some(uid) = from.uid() {
                self.uids.remove(&uid);
            }
            if let Some(token) = from.token() {
                self.tokens.remove(&token);
            }
            self.suspended -= usize::from(from.is_suspended());
        }
        if let Some(to) = to {
            if let Some(uid) = to.uid() {
                self.uids.insert(uid, conn);
            }
            if let Some(token) = to.token() {
                self.tokens.insert(token, conn);
            }
            self.suspended += usize::from(to.is_suspended());
        }
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anonymous_session_takes_less_than_200_bytes_whatever_the_size_of_the_table() {
        let mut sessions = Book::new(SessionLimits { channels_per_session: 64, channel_bytes: 255, suspended_max: 0 });
        let mut worst = 0;
        for count in 1..=200_000_usize {
            sessions.open(ConnId(count as u64));
            if count >= 100_000 {
                // A table fills at most 7 of 8 of its places, and each has a byte besides the entry.
                let places = sessions.standings.capacity() / 7 * 8;
                worst = worst.max(places * (size_of::<(ConnId, Standing)>() + 1) / count);
            }
        }
        println!("{} bytes an entry; from 100,000 sessions on at most {worst} bytes each", size_of::<(ConnId, Standing)>());
        assert!(worst < 200, "{worst}");
        assert_eq!(sessions.uids.capacity() + sessions.tokens.capacity(), 0);
    }
}
