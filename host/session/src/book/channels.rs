//! The book of channels: who is a member of which.

use std::collections::HashMap;
use std::sync::Arc;

use duet_core::ConnId;

/// Channels and their members. A channel exists as long as it has one.
///
/// Members stand in a row, because a message to a channel goes through all of them. The last one takes the place of one that leaves.
#[derive(Debug, Default)]
pub(super) struct Channels {
    members: HashMap<Arc<str>, Vec<ConnId>>,
    /// The channels of each session that is in any, and its place in the row of each.
    places: HashMap<ConnId, HashMap<Arc<str>, usize>>,
}

impl Channels {
    /// Adds a member, unless it is one already.
    pub(super) fn join(&mut self, conn: ConnId, name: &str) {
        let name = self.members.get_key_value(name).map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name));
        let members = self.members.entry(Arc::clone(&name)).or_default();
        self.places.entry(conn).or_default().entry(name).or_insert_with(|| {
            members.push(conn);
            members.len() - 1
        });
    }

    /// Removes a member. False if it was not one.
    pub(super) fn leave(&mut self, conn: ConnId, name: &str) -> bool {
        let Some(own) = self.places.get_mut(&conn) else {
            return false;
        };
        let Some((name, place)) = own.remove_entry(name) else {
            return false;
        };
        if own.is_empty() {
            self.places.remove(&conn);
        }
        self.vacate(&name, place);
        true
    }

    /// Removes a session from all its channels. Returns how many those were.
    pub(super) fn leave_all(&mut self, conn: ConnId) -> usize {
        let own = self.places.remove(&conn).unwrap_or_default();
        for (name, place) in &own {
            self.vacate(name, *place);
        }
        own.len()
    }

    pub(super) fn contains(&self, conn: ConnId, name: &str) -> bool {
        self.places.get(&conn).is_some_and(|own| own.contains_key(name))
    }

    pub(super) fn members(&self, name: &str) -> &[ConnId] {
        self.members.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn of(&self, conn: ConnId) -> impl Iterator<Item = &str> {
        self.places.get(&conn).into_iter().flatten().map(|(name, _)| &**name)
    }

    /// How many channels a session is in.
    pub(super) fn count(&self, conn: ConnId) -> usize {
        self.places.get(&conn).map_or(0, HashMap::len)
    }

    /// How many channels there are.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Frees a place in the row of a channel.
    fn vacate(&mut self, name: &str, place: usize) {
        let Some(members) = self.members.get_mut(name) else {
            return;
        };
        members.swap_remove(place);
        if let Some(moved) = members.get(place) {
            if let Some(at) = self.places.get_mut(moved).and_then(|own| own.get_mut(name)) {
                *at = place;
            }
        } else if members.is_empty() {
            self.members.remove(name);
            return;
        }
        // A row keeps at most four times what it needs: otherwise channels that were once large would hold their memory for good.
        if members.len() < members.capacity() / 4 {
            members.shrink_to(members.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_was_large_once_gives_its_memory_back() {
        let mut channels = Channels::default();
        for i in 0..10_000 {
            channels.join(ConnId(i), "lobby");
        }
        for i in 1..10_000 {
            channels.leave(ConnId(i), "lobby");
        }
        assert_eq!(channels.members("lobby"), [ConnId(0)]);
        assert!(channels.members["lobby"].capacity() <= 8);
    }

    #[test]
    fn a_name_is_stored_once_for_all_members() {
        let mut channels = Channels::default();
        for i in 0..100 {
            channels.join(ConnId(i), "lobby");
        }
        let (name, _) = channels.members.get_key_value("lobby").unwrap();
        assert_eq!(Arc::strong_count(name), 101);
    }

    #[test]
    fn nothing_is_left_when_all_have_left() {
        let mut channels = Channels::default();
        for i in 0..100 {
            channels.join(ConnId(i), "a");
            channels.join(ConnId(i), "b");
        }
        for i in 0..100 {
            assert!(channels.leave(ConnId(i), "a"));
            assert!(!channels.leave(ConnId(i), "a"));
        }
        for i in 0..50 {
            assert_eq!(channels.leave_all(ConnId(i)), 1);
            assert!(channels.leave(ConnId(99 - i), "b"));
        }
        assert_eq!((channels.members.len(), channels.places.len()), (0, 0));
    }
}
