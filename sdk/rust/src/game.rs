//! What a plugin is to the SDK: routes, events, a name, and its life. `plugin!` and `#[route]` implement these traits.

use serde::Serialize;

use crate::codec::Codec;
use crate::state::Keeps;
use crate::{Ctx, Error, Event, EventKind, Result};

/// Why nothing is saved.
const STATELESS: &str = "this plugin keeps no state; name it in `plugin!`: `state: TheType`";

/// What the host is told about a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteInfo {
    /// Number, as clients send it.
    pub number: i32,
    /// Name of the function, for people.
    pub name: &'static str,
    /// What bodies are written in.
    pub codec: Codec,
    /// Only for connections that are bound to a uid.
    pub authorized: bool,
    /// Not for clients.
    pub internal: bool,
}

/// A function with `#[route]`.
pub trait Route {
    /// What the host is told.
    const INFO: RouteInfo;
    /// The route's number.
    const NUMBER: i32 = Self::INFO.number;

    /// Decodes the body, calls the function and appends its reply.
    ///
    /// # Errors
    /// If the body cannot be decoded, the function fails, or its reply cannot be encoded.
    fn call(ctx: &mut Ctx, body: &mut [u8]) -> Result<()>;
}

/// A function with `#[event]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event handler",
    note = "`#[event(connect)]` makes a function one; functions with `#[route]` belong into `routes`"
)]
pub trait EventHandler {
    /// Which events it handles.
    const KINDS: &'static [EventKind];

    /// Calls the function.
    ///
    /// # Errors
    /// If the function fails.
    fn call(ctx: &mut Ctx, event: Event<'_>) -> Result<()>;
}

/// A plugin: the type `plugin!` generates implements this.
pub trait Game {
    /// Name, for people.
    const NAME: &'static str;
    /// Version, for people.
    const VERSION: &'static str;
    /// All routes; their numbers differ.
    const ROUTES: &'static [RouteInfo];
    /// The events of each event handler; no event has two.
    const EVENTS: &'static [&'static [EventKind]] = &[];

    /// Calls the handler of a route. None if there is no such route.
    fn call(route: i32, ctx: &mut Ctx, body: &mut [u8]) -> Option<Result<()>>;

    /// Calls the handler of an event, if there is one.
    ///
    /// # Errors
    /// If the handler fails.
    fn event(_ctx: &mut Ctx, _event: Event<'_>) -> Result<()> {
        Ok(())
    }

    /// What becomes of its state when its code is replaced.
    fn keeps() -> Keeps {
        Keeps::Unsaid
    }

    /// A piece of the state; empty behind the last one.
    ///
    /// # Errors
    /// If there is no state, or it cannot be written.
    fn save(_piece: u32) -> Result<Vec<u8>> {
        Err(Error::handler(STATELESS))
    }

    /// Takes a piece of what another instance saved; an empty one ends it.
    ///
    /// # Errors
    /// If there is no state, or the bytes cannot be read as this schema.
    fn restore(_schema: u32, _piece: u32, _bytes: Vec<u8>) -> Result<()> {
        Err(Error::handler(STATELESS))
    }

    /// Runs once, before the first message.
    ///
    /// # Errors
    /// Keeps the plugin from being loaded.
    fn start() -> Result<()> {
        Ok(())
    }

    /// Runs once, before the instance is dropped in good order.
    fn stop() {}
}

/// The manifest of a plugin, as `lifecycle.describe` returns it.
pub fn manifest<G: Game>() -> String {
    let routes = G::ROUTES.iter().map(|route| RouteEntry {
        route: route.number,
        name: route.name,
        authorized: route.authorized,
        internal: route.internal,
    });
    let events = G::EVENTS.iter().copied().flatten().map(|kind| kind.name());
    let state = match G::keeps() {
        Keeps::Unsaid => None,
        Keeps::Nothing => Some(StateEntry::Word("none")),
        Keeps::State { schema, reads } => Some(StateEntry::Kept { schema, reads }),
    };
    let manifest = Manifest { name: G::NAME, version: G::VERSION, packed: 1, routes: routes.collect(), events: events.collect(), state };
    let mut text = Vec::new();
    // Cannot fail: numbers, booleans and strings always have a json form. The host would refuse an empty manifest and say so.
    duet_json::to_vec(&manifest, &mut text).ok().and_then(|()| String::from_utf8(text).ok()).unwrap_or_default()
}

#[derive(Serialize)]
struct Manifest {
    name: &'static str,
    version: &'static str,
    packed: u32,
    routes: Vec<RouteEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateEntry>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum StateEntry {
    Word(&'static str),
    Kept { schema: u32, reads: Vec<u32> },
}

#[derive(Serialize)]
struct RouteEntry {
    route: i32,
    name: &'static str,
    #[serde(skip_serializing_if = "is_false")]
    authorized: bool,
    #[serde(skip_serializing_if = "is_false")]
    internal: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// True if an earlier route has the same number as route `index`. `plugin!` checks this at compile time.
#[doc(hidden)]
pub const fn is_repeated(numbers: &[i32], index: usize) -> bool {
    let (before, rest) = numbers.split_at(index);
    let Some(number) = rest.first() else { return false };
    let mut rest = before;
    while let Some((other, others)) = rest.split_first() {
        if *other == *number {
            return true;
        }
        rest = others;
    }
    false
}
