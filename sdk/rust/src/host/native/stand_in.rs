//! The host that a test set up for its thread.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use super::gate::Gate;
use crate::log::Level;

thread_local! {
    pub(super) static STAND_IN: RefCell<Option<StandIn>> = const { RefCell::new(None) };
}

/// A host that a test controls.
#[derive(Debug)]
pub(crate) struct StandIn {
    pub(crate) config: HashMap<String, String>,
    pub(crate) now: Duration,
    pub(crate) monotonic: Duration,
    pub(crate) random: u64,
    pub(crate) lines: Vec<(Level, String)>,
    pub(crate) gate: Gate,
    /// The cell of the plugin's state, once it was asked for.
    pub(crate) state: Option<&'static dyn Any>,
}

/// Runs `call` with this host instead of the system.
pub(crate) fn with<T>(host: &mut Option<StandIn>, call: impl FnOnce() -> T) -> T {
    /// Gives the host back even if `call` panics.
    struct Guard<'a>(&'a mut Option<StandIn>);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            STAND_IN.with_borrow_mut(|place| std::mem::swap(place, self.0));
        }
    }
    STAND_IN.with_borrow_mut(|place| std::mem::swap(place, host));
    let _guard = Guard(host);
    call()
}
