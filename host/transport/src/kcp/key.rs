//! What a connection is known by.

use std::net::SocketAddr;

/// An address, and the conversation that its client has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) peer: SocketAddr,
    pub(super) conv: u32,
}
