//! How much is measured.

/// Rounds, seconds and connections of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Each figure is the median of this many.
    pub(super) rounds: usize,
    /// Measured time of one figure, after a fifth of it to warm up.
    pub(super) seconds: u32,
    /// How long idle connections are held: longer than a heartbeat interval, so that each has been used.
    pub(super) idle_seconds: u32,
    /// Connections are as many as their name says, divided by this.
    pub(super) fewer: u32,
}

impl Effort {
    pub(super) const FULL: Self = Self { rounds: 3, seconds: 5, idle_seconds: 30, fewer: 1 };
    pub(super) const QUICK: Self = Self { rounds: 1, seconds: 2, idle_seconds: 12, fewer: 10 };
}
