//! The glue between a plugin and the host: the exports of world `game`.

pub mod bindings;
mod lists;
pub mod state_bindings;

use std::marker::PhantomData;
use std::panic::{PanicHookInfo, set_hook};

use crate::{Game, game, log};
use bindings::exports::duet::plugin::lifecycle;
pub use lists::handle_batch;
use state_bindings::exports::duet::plugin::state;

/// The exports of a plugin. `plugin!` exports them for its type.
#[derive(Debug)]
pub struct Exports<G>(PhantomData<G>);

impl<G: Game> lifecycle::Guest for Exports<G> {
    fn describe() -> String {
        lists::begin();
        set_hook(Box::new(report_panic));
        game::manifest::<G>()
    }

    fn start() -> Result<(), String> {
        lists::begin();
        // The instance that described the plugin was another.
        set_hook(Box::new(report_panic));
        G::start().map_err(|error| error.message().to_owned())
    }

    fn stop() {
        lists::begin();
        G::stop();
    }
}

impl<G: Game> state::Guest for Exports<G> {
    fn save(piece: u32) -> Result<Vec<u8>, String> {
        lists::begin();
        G::save(piece).map_err(|error| error.message().to_owned())
    }

    fn restore(schema: u32, piece: u32, bytes: Vec<u8>) -> Result<(), String> {
        G::restore(schema, piece, lists::adopted(bytes)).map_err(|error| error.message().to_owned())
    }
}

/// One log line. The standard hook would write four, only one of which says what happened.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let message = panic.payload_as_str().unwrap_or("the payload is not text");
    let message: Vec<&str> = message.lines().map(str::trim).collect();
    log::error!("panicked{place}: {}", message.join(" "));
}

/// Exports `handle-batch` for a plugin.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_handle_batch {
    ($game:ty) => {
        #[unsafe(export_name = "duet:plugin/batch-handler@0.1.0#handle-batch")]
        unsafe extern "C" fn handle_batch(requests: *mut u8, bytes: usize) -> *const [usize; 2] {
            // SAFETY: the host passes what the canonical ABI says.
            unsafe { $crate::component::handle_batch::<$game>(requests, bytes) }
        }
    };
}
