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

mod batch;
pub mod clock;
pub mod codec;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod component;
pub mod config;
mod context;
mod effects;
mod error;
mod game;
mod host;
pub mod log;
pub mod random;
mod requests;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use batch::handle_batch;
pub use context::Ctx;
pub use duet_plugin_macros::{plugin, route};
pub use error::{Error, Result, code};
#[doc(hidden)]
pub use game::is_repeated as __is_repeated;
pub use game::{Game, Route, RouteInfo, manifest};
pub use requests::MalformedBatch;

/// What a plugin usually needs: `use duet_plugin::prelude::*`.
pub mod prelude {
    pub use std::borrow::Cow;

    pub use serde::{Deserialize, Serialize};

    pub use crate::{Ctx, Error, Result, log, route};
}
