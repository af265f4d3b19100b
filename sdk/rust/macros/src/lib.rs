//! The macros of `duet-plugin`: `#[route]`, `#[event]`, `#[state]` and `plugin!`. Use them from there.

mod event;
mod plugin;
mod route;
mod signature;
mod state;

use proc_macro::TokenStream;

/// Makes a function the handler of a route.
///
/// ```text
/// #[route(1)]
/// fn greet(ctx: &mut Ctx, req: Greet<'_>) -> Result<Greeting> { .. }
/// ```
///
/// The function stays as it is and can be called in a test. It takes the context and, unless it ignores the body, the request, which
/// may borrow from the body. It returns `Result<T>`, where `T` becomes the reply, or `Result<()>`, which sends no reply by itself: such a
/// handler answers with `ctx.reply(..)`, or the route is one-way. Any error that converts into `duet_plugin::Error` will do.
///
/// After the number, which may be a constant:
/// - `codec = "json" | "msgpack" | "protobuf" | "bytes"`: what bodies are written in; json if absent.
/// - `authorized`: only for connections that are bound to a uid.
/// - `internal`: not for clients.
#[proc_macro_attribute]
pub fn route(arguments: TokenStream, function: TokenStream) -> TokenStream {
    route::expand(arguments.into(), &function.into()).into()
}

/// Makes a function the handler of events of connections: `connect`, `bind`, `disconnect`, `suspend`, `resume`, one or several of them.
///
/// ```text
/// #[event(disconnect, suspend)]
/// fn left(ctx: &mut Ctx, event: Event<'_>) -> Result<()> { .. }
/// ```
///
/// The function stays as it is and can be called in a test. It takes the context, which knows connection and uid, and the event, unless it
/// ignores it. Nobody waits for an answer: an error takes back what the handler did and becomes a log line. An event has one handler.
///
/// `codec = ".."` after the events says what the messages it sends are written in; json if absent.
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, function: TokenStream) -> TokenStream {
    event::expand(arguments.into(), &function.into()).into()
}

/// Makes a serde type one that can be saved when the code of the plugin is replaced, with the number of its schema.
///
/// ```text
/// #[state(schema = 2, from = WorldOf1)]
/// #[derive(Default, Serialize, Deserialize)]
/// struct World { .. }
/// ```
///
/// `from` is the type of the schema before, which has `#[state]` as well and needs `Deserialize` alone; there is a `From` or a `TryFrom` from
/// it. One type may lead to the next, so that the oldest of them can still be restored. Give the schema another number whenever a version
/// that is out could not read what this one saves, or would take it for something else.
#[proc_macro_attribute]
pub fn state(arguments: TokenStream, item: TokenStream) -> TokenStream {
    state::expand(arguments.into(), &item.into()).into()
}

/// Declares the plugin: its routes and events, and what runs when it starts and stops.
///
/// ```text
/// duet_plugin::plugin! {
///     routes: [greet, shop::buy],
///     events: [left],     // optional
///     start: on_start,    // optional, fn() -> Result<()>
///     stop: on_stop,      // optional, fn()
///     state: World,       // optional, a type with #[state]; or `none`, which says that there is nothing to keep
///     name: "greet",      // optional, the crate's name if absent
/// }
/// ```
///
/// It generates `pub struct Plugin` with `manifest`, `handle_batch`, `start` and `stop`, which also work natively, and the exports of the
/// component. Two routes with the same number, or two handlers of one event, do not compile.
#[proc_macro]
pub fn plugin(declaration: TokenStream) -> TokenStream {
    plugin::expand(declaration.into()).into()
}
