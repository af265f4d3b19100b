//! What tests of the whole server need: a server process of their own, plugins to put into it, and clients that write bytes by hand.
//!
//! Everything here panics with what went wrong, since a test has nothing better to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "failing with a message is what a test does about an error"
)]

pub mod frame;
#[cfg(feature = "scripted")]
pub mod scripted;
pub mod suite;

mod counter;
mod dial;
mod guests;
mod honest;
mod kcp;
mod launch;
mod lines;
mod link;
mod log;
mod nobody;
mod peer;
mod pki;
mod random;
mod server;
mod wire;

pub use self::counter::counter;
pub use self::dial::{Dial, upgrade_request, upgrade_request_with};
pub use self::guests::guest;
pub use self::honest::{Honest, Waits};
pub use self::launch::{Refusal, ServerBuilder};
pub use self::log::{Kept, Log};
pub use self::nobody::Nobody;
pub use self::peer::Peer;
pub use self::pki::{Pki, Trust};
pub use self::random::Random;
pub use self::server::{Listening, Server};
pub use self::wire::{Carrier, Message, Wire};
