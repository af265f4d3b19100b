//! The macros of `duet-plugin`: `#[route]`, `#[event]` and `plugin!`. Use them from there.

mod event;
mod plugin;
mod route;
mod signature;

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

/// Declares the plugin: its routes and events, and what runs when it starts and stops.
///
/// ```text
/// duet_plugin::plugin! {
///     routes: [greet, shop::buy],
///     events: [left],     // optional
///     start: on_start,    // optional, fn() -> Result<()>
///     stop: on_stop,      // optional, fn()
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
