//! The two ports in which gateway and plugins meet.

use std::task::Waker;

use crate::{Effect, Requests};

/// Requests of one call, at most: whoever applies its effects may keep a bit for each.
pub const CALL_REQUESTS_MAX: usize = 64;

/// Where a gateway hands requests over: the plugin runtime of this process, or the link to a node.
pub trait Dispatch: Send + Sync {
    /// Takes the requests of one read. Never blocks.
    ///
    /// Requests that cannot be handled (no such route, plugin out of service) are answered through [`Egress`].
    ///
    /// # Errors
    /// [`Full`] gives back what was not taken, still in order. `waker` is then woken once there is room; the caller keeps the rest and
    /// reads nothing more from its connection until it has offered it again.
    fn dispatch(&self, requests: Requests, waker: &Waker) -> Result<(), Full>;

    /// Whether every request that was taken has been handled. A gate that drains waits for it.
    fn is_idle(&self) -> bool;
}

/// The requests that a full queue did not take.
#[derive(Debug)]
pub struct Full(pub Requests);

/// Where effects go: the connections of this gate, or the link to another.
pub trait Egress: Send + Sync {
    /// Applies the effects of one call, in order. Never blocks: a client that does not read fills its own queue and loses its connection,
    /// nothing else. Each effect is taken off the front before it is applied: if a panic escapes, what is still there has not happened, so
    /// that nobody is answered twice.
    fn apply(&self, effects: &mut &[Effect<'_>]);
}
