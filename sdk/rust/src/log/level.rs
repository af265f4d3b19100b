//! How important a log line is.

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// Something failed and somebody should look at it.
    Error = 1,
    /// Something is odd.
    Warn = 2,
    /// Something happened.
    Info = 3,
    /// For whoever works on the plugin.
    Debug = 4,
    /// Every step.
    Trace = 5,
}
