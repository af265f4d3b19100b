//! A session between two connections.

use std::collections::VecDeque;
use std::time::Duration;

use super::incoming::Incoming;
use super::ledger::Account;

/// What is left of a connection that [`Client::resume`](crate::Client::resume) can go on with: a token, the counts of both directions, packets that the server
/// may not have got and packets that nobody took from [`Client::recv`](crate::Client::recv).
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) account: Account,
    pub(super) undelivered: VecDeque<Incoming>,
    pub(super) last_seq: i32,
}

impl Session {
    /// A session of which only the token is known, for example from another process, and how many packets were received since the first
    /// one. Nothing is sent again.
    pub fn from_token(token: impl Into<String>, received: u64) -> Self {
        Self { account: Account::of_token(token.into(), received), undelivered: VecDeque::new(), last_seq: 0 }
    }

    /// The token, good for one resumption.
    pub fn token(&self) -> &str {
        &self.account.token
    }

    /// How long the server keeps a session whose connection is lost.
    pub fn ttl(&self) -> Duration {
        self.account.ttl
    }

    /// Packets received since the first token.
    pub fn received(&self) -> u64 {
        self.account.received
    }

    /// Packets that will be sent again if the server has not got them.
    pub fn unsettled(&self) -> usize {
        self.account.unsettled()
    }
}
