//! The runtime for threads that outlive no stop: they have it only while they use it, and whoever stops the process waits for that.

use std::ops::Deref;
use std::sync::{Arc, Weak};

use duet_runtime::{Runtime, Underway};

/// Knows the runtime and does not keep it.
#[derive(Clone, Debug)]
pub(crate) struct Lender(Weak<Runtime>);

/// The runtime, for as long as this is there.
pub(crate) struct Lent {
    // Dropped in this order: who waits for the second lets go of the runtime next, and has its instances end on a thread of its own.
    runtime: Arc<Runtime>,
    _underway: Underway,
}

impl Lender {
    pub(crate) fn of(runtime: &Arc<Runtime>) -> Self {
        Self(Arc::downgrade(runtime))
    }

    /// `None` once the process is stopping.
    pub(crate) fn lend(&self) -> Option<Lent> {
        let runtime = self.0.upgrade()?;
        let lent = Lent { _underway: runtime.loader().underway(), runtime };
        (!lent.runtime.loader().is_stopped()).then_some(lent)
    }
}

impl Deref for Lent {
    type Target = Arc<Runtime>;

    fn deref(&self) -> &Arc<Runtime> {
        &self.runtime
    }
}
