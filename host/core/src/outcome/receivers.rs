//! How many receivers the messages of effects have.

use crate::{Action, Directory};

/// Counts receivers within a call. A look-up costs the lock of the gate's book, so the number of sessions is asked for at most once.
/// Targets that no longer exist count too: looking them up costs the gate just as much.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receivers {
    sessions: Option<usize>,
}

impl Receivers {
    /// The most receivers an effect can have; 0 if it sends no message.
    #[inline]
    pub fn at_most(&mut self, directory: &dyn Directory, action: &Action<'_>) -> usize {
        match action {
            Action::Push { .. } => 1,
            Action::Multicast { to, .. } => (to.parts().0.len() / 8).max(1),
            // The gate looks at every session, even for a message to the bound ones only. A channel can have no more members than that.
            Action::Broadcast { .. } | Action::Publish { .. } => *self.sessions.get_or_insert_with(|| {
                let counts = directory.counts();
                (counts.connections + counts.suspended).max(1)
            }),
            _ => 0,
        }
    }

    /// The same, but the members of a channel are really counted.
    pub fn exactly(&mut self, directory: &dyn Directory, action: &Action<'_>) -> usize {
        match action {
            Action::Publish { channel, .. } => directory.member_count(channel).max(1),
            _ => self.at_most(directory, action),
        }
    }
}
