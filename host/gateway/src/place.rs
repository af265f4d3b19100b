//! What a connection takes of what is limited, from when it is accepted to its end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use duet_transport::{Permit, Refusal};

use crate::shared::Shared;

/// One of `connections_max`, and one of those that its address may have. A suspended session has neither: its client needs them to come
/// back.
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    permit: Option<Permit>,
    is_suspended: bool,
}

impl Place {
    /// A place, if there is one.
    pub(crate) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let is_free = shared.sessions.stats().enter(shared.options().connections_max);
        is_free.then(|| Self { shared: Arc::clone(shared), permit: None, is_suspended: false })
    }

    /// Counts it for an address.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn admit(&mut self, address: IpAddr) -> Result<(), Refusal> {
        self.permit = Some(self.shared.guard.admit(address, Instant::now())?);
        Ok(())
    }

    /// Gives the place back before the session ends: its socket is gone, and a client that comes back brings a place of its own.
    pub(crate) fn suspend(&mut self) {
        let stats = self.shared.sessions.stats();
        // In this order, because a gate that stops waits for both: it must not be counted nowhere in between.
        stats.suspend();
        stats.leave();
        self.permit = None;
        self.is_suspended = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let stats = self.shared.sessions.stats();
        if self.is_suspended { stats.leave_suspended() } else { stats.leave() }
    }
}
