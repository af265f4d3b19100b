//! The vocabulary of the host: ids, requests, effects, error codes, the packed layout, and the ports where crates meet.
//!
//! This crate does no I/O. `gateway` and `runtime` know each other only through [`Dispatch`] and [`Egress`].

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod directory;
mod dispatch;
mod effect;
mod error_code;
mod grace;
mod ids;
mod in_flight;
mod lock;
mod outcome;
pub mod packed;
pub mod panic;
mod registry;

pub use self::directory::{Counts, Directory, Presence};
pub use self::dispatch::{CALL_REQUESTS_MAX, Dispatch, Egress, Full};
pub use self::effect::{Action, Effect, Origin, Source, Target, Targets};
pub use self::error_code::ErrorCode;
pub use self::grace::{STALLED, grace};
pub use self::ids::{ConnId, GateId, Key, Route, Seq, Uid};
pub use self::in_flight::{Asker, InFlight};
pub use self::lock::{Condvar, Mutex, MutexGuard};
pub use self::outcome::{EFFECT_BYTES_MAX, EFFECTS_MAX, LIST_BYTES_MAX, Outcome, OutcomeError, Place, RECEIVERS_MAX, Receivers};
pub use self::packed::{Request, RequestKind, Requests};
pub use self::registry::{PluginEntry, PublishError, Registry, RouteEntry, RouteTable};
