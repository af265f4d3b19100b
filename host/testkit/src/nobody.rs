//! A directory of a gate without connections.

use std::fmt;
use std::net::SocketAddr;

use duet_core::{ConnId, Counts, Directory, Presence, Uid};

/// Nobody is there: for tests whose plugins ask about nobody.
pub struct Nobody<F = fn() -> Counts>(F);

impl Nobody {
    /// There are none.
    pub fn new() -> Self {
        Self(Counts::default)
    }
}

impl Default for Nobody {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Fn() -> Counts> Nobody<F> {
    /// How many there are says a function, which may note who asks, or let them wait.
    pub fn counted_by(count: F) -> Self {
        Self(count)
    }
}

impl<F> fmt::Debug for Nobody<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nobody")
    }
}

impl<F: Fn() -> Counts + Send + Sync> Directory for Nobody<F> {
    fn presence(&self, _uid: Uid) -> Presence {
        Presence::Offline
    }

    fn conn_of(&self, _uid: Uid) -> Option<ConnId> {
        None
    }

    fn uid_of(&self, _conn: ConnId) -> Option<Uid> {
        None
    }

    fn address(&self, _conn: ConnId) -> Option<SocketAddr> {
        None
    }

    fn counts(&self) -> Counts {
        (self.0)()
    }

    fn member_count(&self, _channel: &str) -> usize {
        0
    }

    fn members(&self, _channel: &str, _max: usize) -> Vec<ConnId> {
        Vec::new()
    }
}
