//! The glue between a plugin and the host: the exports of world `game`.

pub mod bindings;

use std::marker::PhantomData;
use std::panic::{PanicHookInfo, set_hook};

use crate::{Game, batch, game, log};
use bindings::exports::duet::plugin::{batch_handler, lifecycle};

/// The exports of a plugin. `plugin!` exports them for its type.
#[derive(Debug)]
pub struct Exports<G>(PhantomData<G>);

impl<G: Game> lifecycle::Guest for Exports<G> {
    fn describe() -> String {
        set_hook(Box::new(report_panic));
        game::manifest::<G>()
    }

    fn start() -> Result<(), String> {
        // The instance that described the plugin was another.
        set_hook(Box::new(report_panic));
        G::start().map_err(|error| error.message().to_owned())
    }

    fn stop() {
        G::stop();
    }
}

impl<G: Game> batch_handler::Guest for Exports<G> {
    #[allow(clippy::panic, reason = "a trap tells the host that it sent what nobody can read")]
    fn handle_batch(mut requests: Vec<u8>) -> Vec<u8> {
        let mut effects = Vec::new();
        match batch::handle_batch::<G>(&mut requests, &mut effects) {
            Ok(()) => effects,
            Err(malformed) => panic!("{malformed}"),
        }
    }
}

/// One log line. The standard hook would write four, only one of which says what happened.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let message = panic.payload_as_str().unwrap_or("the payload is not text");
    let message: Vec<&str> = message.lines().map(str::trim).collect();
    log::error!("panicked{place}: {}", message.join(" "));
}
