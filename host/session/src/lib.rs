//! The life of one connection as pure logic: its state, and when its silence has lasted too long. No I/O, no clock of its own.

mod session;
mod timeouts;

pub use self::session::{Event, Session, State};
pub use self::timeouts::{Due, Heartbeat, Timeouts};
