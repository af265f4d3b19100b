//! What the tasks of a gate share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use duet_core::{Dispatch, ErrorCode, Registry};
use duet_transport::Guard;

use crate::overload::Load;
use crate::{GatewayOptions, Sessions};

/// A gate as its tasks see it.
pub(crate) struct Shared {
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) guard: Guard,
    pub(crate) load: Load,
    stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn new(sessions: Arc<Sessions>, dispatch: Arc<dyn Dispatch>, registry: Arc<dyn Registry>) -> Self {
        let guard = Guard::new(sessions.options.guard.clone());
        Self { dispatch, registry, sessions, guard, load: Load::default(), stopping: AtomicBool::new(false) }
    }

    pub(crate) fn options(&self) -> &GatewayOptions {
        &self.sessions.options
    }

    /// From now on nothing new is taken.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The answer to every message, if the gate takes nothing new.
    pub(crate) fn closed(&self) -> Option<ErrorCode> {
        match (self.is_stopping(), self.load.is_critical()) {
            (true, _) => Some(ErrorCode::GOING_AWAY),
            (false, true) => Some(ErrorCode::BUSY),
            (false, false) => None,
        }
    }
}
