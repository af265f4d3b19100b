//! Remembers for a while which lives ended, so that a cookie from before their end opens no other.

use std::collections::{HashMap, VecDeque};

use super::key::Key;

/// The last lives of addresses and conversations, each with the slot of cookies in which it ended.
#[derive(Debug)]
pub(super) struct Ended {
    lives: HashMap<Key, u64>,
    order: VecDeque<(Key, u64, u64)>,
    max: usize,
}

impl Ended {
    /// Remembers at most `max`.
    pub(super) fn new(max: usize) -> Self {
        Self { lives: HashMap::new(), order: VecDeque::new(), max }
    }

    /// A life has ended in this slot.
    pub(super) fn insert(&mut self, key: Key, life: u64, slot: u64) {
        // Cookies of the slot before last are no longer good.
        while self.order.front().is_some_and(|(_, _, ended)| ended + 1 < slot || self.order.len() >= self.max) {
            self.forget_oldest();
        }
        self.lives.insert(key, life);
        self.order.push_back((key, life, slot));
    }

    /// The last life that ended; 0 if none is known.
    pub(super) fn last(&self, key: Key) -> u64 {
        self.lives.get(&key).copied().unwrap_or_default()
    }

    fn forget_oldest(&mut self) {
        if let Some((key, life, _)) = self.order.pop_front()
            && self.last(key) == life
        {
            self.lives.remove(&key);
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
    fn it_knows_the_last_life_of_a_client() {
        let mut ended = Ended::new(8);
        ended.insert(key(1), 1, 5);
        ended.insert(key(2), 2, 5);
        ended.insert(key(1), 3, 5);
        assert_eq!([1, 2, 9].map(|conv| ended.last(key(conv))), [3, 2, 0]);
        // Forgetting the first life of a client does not forget its last.
        ended.forget_oldest();
        assert_eq!(ended.last(key(1)), 3);
    }

    #[test]
    fn it_forgets_by_time_and_by_number() {
        let mut ended = Ended::new(8);
        (0..1000).for_each(|conv| ended.insert(key(conv), u64::from(conv) + 1, 5));
        assert_eq!((ended.order.len(), ended.lives.len()), (8, 8));
        assert_eq!((ended.last(key(999)), ended.last(key(0))), (1000, 0));
        ended.insert(key(1), 2000, 7);
        assert_eq!((ended.order.len(), ended.lives.len()), (1, 1));
    }
}
