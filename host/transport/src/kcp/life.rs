//! One connection among those of an address and conversation, and whether it is still its own client that is heard.
//!
//! **Whose datagram is it?** A client that was started again with the address and conversation of a connection begins with a segment 0 and
//! expects number 0. So do datagrams of the connection's own client that come late. Both are greeted, with a cookie for what comes after this
//! connection. For a second the connection is then doubted:
//!
//! - A connection is settled once it has seen number 2 expected: its client has received more than the greeting. What expects less is not its
//!   client's, or late. Whoever returns the cookie and expects number 1 takes its place.
//! - Of a connection that is not settled, its own client could say the same. What decides is a segment 0 after the cookie: the connection's client
//!   does not repeat a segment that was acknowledged. If none was, both are where they began, and the connection just goes on.
//!
//! Neither is possible without an answer to a datagram that only the owner of the address receives. A doubted connection sends nothing: what it
//! resends would be taken for the new one's. And as long as it is not settled it takes nothing, for it would acknowledge what it never had.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::segment::{Head, Opening};

/// How long a connection is doubted after a greeting: a round trip, and the first resends of a client.
const DOUBT: Duration = Duration::from_secs(1);

/// A connection among those that its address and conversation have had.
pub(super) struct Life {
    connection: Arc<Connection>,
    number: u64,
    /// Its client has received more than the greeting.
    is_settled: bool,
    /// Until when it is doubted.
    doubted_until: Option<Instant>,
    /// While it is doubted: somebody returned the cookie.
    has_rival: bool,
}

/// Whose datagram it is.
pub(super) enum Whose {
    /// The connection's.
    Own,
    /// Perhaps from a client that starts over: it has to prove itself.
    Stranger,
    /// From a client that starts over and has proved its address.
    Rival,
    /// Late, or from a rival that says too little.
    Unclear,
}

impl Life {
    /// The life of this number, which is not 0.
    pub(super) const fn new(connection: Arc<Connection>, number: u64) -> Self {
        Self { connection, number, is_settled: false, doubted_until: None, has_rival: false }
    }

    pub(super) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Whether a datagram that expects number 2 or more certainly comes from its client.
    pub(super) fn is_certain(&self, now: Instant) -> bool {
        self.is_settled || self.doubted_until.is_none_or(|until| until <= now)
    }

    /// What cookies are good for: those that were issued before the connection was settled are not good after it.
    pub(super) const fn successor(&self) -> u64 {
        self.number * 2 + self.is_settled as u64
    }

    /// Notes that such a datagram came.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
        if self.doubted_until.take().is_some() {
            self.connection.hush(None);
        }
    }

    /// Whose any other datagram is. The cookie of `proof` was checked.
    pub(super) fn whose(&mut self, first: &Head, opening: &Opening, proof: Option<&Head>, now: Instant) -> Whose {
        let received = self.connection.expected().cast_signed();
        let begins = opening.begins.is_some();
        // After 2^31 segments numbers may soon be 0 again.
        if received < 0 {
            return Whose::Own;
        }
        if received == 0 && !self.is_settled {
            return if opening.begins == Some(0) { Whose::Stranger } else { Whose::Own };
        }
        let is_doubted = self.doubted_until.is_some_and(|until| now < until);
        self.has_rival = proof.is_some() || (self.has_rival && is_doubted);
        let whose = match proof {
            Some(proof) if self.is_settled && proof.expected == 1 => Whose::Rival,
            _ if !self.is_settled && begins && self.has_rival => Whose::Rival,
            _ if begins && (self.is_settled || is_doubted || first.expected == 0) => Whose::Stranger,
            None if !self.is_settled && !is_doubted && first.expected == 1 => Whose::Own,
            _ => Whose::Unclear,
        };
        if matches!(whose, Whose::Stranger) || proof.is_some() {
            self.doubted_until = Some(now + DOUBT);
            self.connection.hush(self.doubted_until);
        }
        whose
    }
}
