//! The system's readiness queue.

use std::io::ErrorKind;
use std::time::Duration;

use mio::{Events, Poll, Registry};

use super::error::LoadError;

/// Sockets the kernel reports at once.
const EVENTS: usize = 1_024;

/// Sockets, and which of them are ready.
pub(super) struct Readiness {
    poll: Poll,
    events: Events,
}

impl Readiness {
    /// The longest wait for a socket, and so how exactly a load ends when nothing comes.
    pub(super) const WAIT_MAX: Duration = Duration::from_millis(10);

    pub(super) fn new() -> Result<Self, LoadError> {
        Ok(Self { poll: Poll::new().map_err(LoadError::Poll)?, events: Events::with_capacity(EVENTS) })
    }

    /// Where sockets are entered.
    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Waits at most so long for a socket. Afterwards [`events`](Self::events) are those that are ready.
    pub(super) fn wait(&mut self, at_most: Duration) -> Result<(), LoadError> {
        match self.poll.poll(&mut self.events, Some(at_most)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(LoadError::Poll(error)),
            _ => Ok(()),
        }
    }

    pub(super) fn events(&self) -> &Events {
        &self.events
    }
}
