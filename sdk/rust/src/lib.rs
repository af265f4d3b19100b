//! Write plugins for the Duet game server: plain functions with an attribute, tested without a host.
//!
//! ```
//! use duet_plugin::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Greet<'a> {
//!     #[serde(borrow)]
//!     name: Cow<'a, str>,
//! }
//!
//! #[derive(Serialize)]
//! struct Greeting {
//!     message: String,
//! }
//!
//! #[route(1)]
//! fn greet(ctx: &mut Ctx, req: Greet<'_>) -> Result<Greeting> {
//!     log::info!("connection {} is {}", ctx.conn(), req.name);
//!     Ok(Greeting { message: format!("hello {}", req.name) })
//! }
//!
//! duet_plugin::plugin! { routes: [greet] }
//!
//! # fn main() {
//! let mut harness = duet_plugin::testing::Harness::<Plugin>::new();
//! let outcome = harness.send(1, br#"{"name":"Ada"}"#);
//! assert_eq!(outcome.reply(), Some(br#"{"message":"hello Ada"}"#.as_slice()));
//! # }
//! ```
//!
//! # Accounts, channels and events
//!
//! A plugin says who a connection is ([`Ctx::bind`]), sends to others ([`Ctx::push`], [`Ctx::publish`]), is told when connections
//! come and go (`#[event]`), and may ask who is there ([`sessions`]).
//!
//! ```
//! use duet_plugin::prelude::*;
//! # fn check(token: &str) -> Result<i64> { Ok(token.parse()?) }
//!
//! /// Route of the news that somebody has come or gone.
//! const NEWS: i32 = 3;
//!
//! #[derive(Serialize)]
//! struct News {
//!     uid: Option<i64>,
//!     here: bool,
//! }
//!
//! #[route(1)]
//! fn login(ctx: &mut Ctx, token: &str) -> Result<i64> {
//!     let uid = check(token)?;
//!     ctx.bind(uid)?; // before the reply: if the bind is refused, the client gets error 13 and nothing else
//!     Ok(uid)
//! }
//!
//! #[route(2, authorized)]
//! fn enter(ctx: &mut Ctx) -> Result<u64> {
//!     ctx.publish("room:1", NEWS, &News { uid: ctx.uid(), here: true })?;
//!     ctx.subscribe("room:1")?; // after the news, so that only the others get it
//!     Ok(sessions::member_count("room:1"))
//! }
//!
//! #[event(disconnect)]
//! fn left(ctx: &mut Ctx, event: Event<'_>) -> Result<()> {
//!     log::info!("{:?} has left: {}", ctx.uid(), event.detail);
//!     ctx.publish("room:1", NEWS, &News { uid: ctx.uid(), here: false })
//! }
//!
//! duet_plugin::plugin! { routes: [login, enter], events: [left] }
//!
//! # fn main() {
//! use duet_plugin::testing::{Effect, Harness};
//!
//! let mut harness = Harness::<Plugin>::new();
//! let outcome = harness.conn(7).send(1, r#""9""#);
//! assert_eq!(outcome.effects(), [Effect::Bind { conn: 7, uid: 9 }]);
//!
//! let outcome = harness.uid(Some(9)).event(EventKind::Disconnect, "silence");
//! assert_eq!(outcome.pushes()[0].body, br#"{"uid":9,"here":false}"#);
//! # }
//! ```

mod batch;
mod body;
pub mod clock;
pub mod codec;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod component;
pub mod config;
mod context;
mod effects;
mod error;
mod event;
mod game;
mod host;
pub mod log;
pub mod prelude;
pub mod random;
mod requests;
pub mod sessions;
pub mod state;
mod target;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use batch::handle_batch;
pub use body::{Body, Proto, Raw};
pub use context::Ctx;
pub use duet_plugin_macros::{event, plugin, route, state};
pub use error::{Error, Result, code};
#[doc(hidden)]
pub use event::is_taken as __is_taken;
pub use event::{Event, EventKind};
#[doc(hidden)]
pub use game::is_repeated as __is_repeated;
pub use game::{EventHandler, Game, Route, RouteInfo, manifest};
pub use requests::MalformedBatch;
pub use target::Target;
