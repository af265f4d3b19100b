//! Connections and sessions as pure logic: when a connection's silence has lasted too long, and the book of who is logged in. No I/O,
//! no clock of its own.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod session;
mod sessions;
mod timeouts;

pub use self::session::{Event, Session, State};
pub use self::sessions::{
    BindError, Bound, ChannelError, Counts, DuplicateLogin, Ended, IssueError, Lost, ResumeError, Resumed, SessionLimits, SessionState,
    Sessions, Token,
};
pub use self::timeouts::{Due, Heartbeat, Timeouts};
