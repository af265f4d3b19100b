//! Remembers for a while which sessions ended, so that a cookie of theirs does not open another.

use std::collections::{HashMap, VecDeque};

use super::session::Key;

/// Keys of ended sessions, each with the slot of cookies in which it ended.
#[derive(Debug)]
pub(super) struct Ended {
    slots: HashMap<Key, u64>,
    order: VecDeque<(Key, u64)>,
    max: usize,
}

impl Ended {
    /// Remembers at most `max`.
    pub(super) fn new(max: usize) -> Self {
        Self { slots: HashMap::new(), order: VecDeque::new(), max }
    }

    /// A session has ended in this slot.
    pub(super) fn insert(&mut self, key: Key, slot: u64) {
        // Cookies of the slot before last are not good any more.
        while self.order.front().is_some_and(|(_, ended)| ended + 1 < slot || self.order.len() >= self.max) {
            self.forget_oldest();
        }
        self.slots.insert(key, slot);
        self.order.push_back((key, slot));
    }

    /// Whether a cookie issued in this slot is from before the end of a session.
    pub(super) fn covers(&self, key: Key, issued: u64) -> bool {
        self.slots.get(&key).is_some_and(|ended| issued <= *ended)
    }

    fn forget_oldest(&mut self) {
        if let Some((key, slot)) = self.order.pop_front()
            && self.slots.get(&key) == Some(&slot)
        {
            self.slots.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(conv: u32) -> Key {
        Key { peer: "192.0.2.1:7".parse().expect("address"), conv }
    }

    #[test]
    fn a_cookie_from_before_the_end_is_covered_and_one_from_after_it_is_not() {
        let mut ended = Ended::new(8);
        ended.insert(key(1), 5);
        assert!(ended.covers(key(1), 4) && ended.covers(key(1), 5));
        assert!(!ended.covers(key(1), 6) && !ended.covers(key(2), 5));
    }

    #[test]
    fn it_forgets_by_time_and_by_number() {
        let mut ended = Ended::new(8);
        (0..1000).for_each(|conv| ended.insert(key(conv), 5));
        assert_eq!((ended.order.len(), ended.slots.len()), (8, 8));
        assert!(ended.covers(key(999), 5) && !ended.covers(key(0), 5));
        ended.insert(key(1), 7);
        assert_eq!((ended.order.len(), ended.slots.len()), (1, 1));
    }
}
