//! A directory of a gate without connections.

use std::net::SocketAddr;

use duet_core::{ConnId, Counts, Directory, Presence, Uid};

/// Nobody is there: for tests whose plugins ask about nobody.
#[derive(Debug)]
pub struct Nobody;

impl Directory for Nobody {
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
        Counts::default()
    }

    fn member_count(&self, _channel: &str) -> usize {
        0
    }

    fn members(&self, _channel: &str, _max: usize) -> Vec<ConnId> {
        Vec::new()
    }
}
