//! How many receivers the messages have that a guest sends through imports.

use duet_core::packed::EffectIter;
use duet_core::{Action, Directory, RECEIVERS_MAX, Receivers};

/// The receivers of the request that a plain handler is busy with, or of the call. Upper bounds are added up, and the receivers are counted
/// only if the sum is too high.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    receivers: Receivers,
    /// The messages before this byte of the list are counted.
    counted_to: usize,
    counted: usize,
    at_most: usize,
}

impl Reached {
    /// The next request begins at this byte of the list.
    pub(crate) const fn begin(&mut self, at: usize) {
        *self = Self { receivers: self.receivers, counted_to: at, counted: 0, at_most: 0 };
    }

    /// The most receivers an effect can have; 0 if it sends no message.
    pub(crate) fn at_most(&mut self, directory: &dyn Directory, action: &Action<'_>) -> usize {
        self.receivers.at_most(directory, action)
    }

    /// Whether another message may be sent besides those in the list.
    pub(crate) fn has_room(&mut self, list: &[u8], directory: &dyn Directory) -> bool {
        if self.at_most >= RECEIVERS_MAX {
            let uncounted = EffectIter::new(list.get(self.counted_to..).unwrap_or_default()).flatten();
            self.counted += uncounted.map(|record| self.receivers.exactly(directory, &record.action)).sum::<usize>();
            (self.counted_to, self.at_most) = (list.len(), self.counted);
        }
        self.at_most < RECEIVERS_MAX
    }

    /// Notes that a message with at most this many receivers was added to the list.
    pub(crate) const fn add(&mut self, receivers: usize) {
        self.at_most += receivers;
    }
}
