//! Connections and sessions as pure logic: when a connection's silence has lasted too long, and the book of who is logged in. No I/O,
//! no clock of its own.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod book;
mod deadlines;
mod timeouts;

pub use self::book::login::{BindError, Bound, DuplicateLogin};
pub use self::book::resumption::{IssueError, Lost, ResumeError, Resumed};
pub use self::book::state::SessionState;
pub use self::book::subscriptions::ChannelError;
pub use self::book::token::Token;
pub use self::book::{Book, Counts, Ended, SessionLimits};
pub use self::deadlines::{Deadlines, Event, HALF_CLOSED, State};
pub use self::timeouts::{Due, Heartbeat, Timeouts};
