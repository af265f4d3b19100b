//! Locks that are taken in one order, which debug builds check.

use std::ops::{Deref, DerefMut};

use duet_core::{Mutex, MutexGuard};

/// **The order of locks.** Whoever holds one takes only those below it. Two outboxes are held at the same time only under the book, by a
/// resume: first the one that is resumed, then the one of the session that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// The book of sessions. Who owns a session changes only under it.
    Book,
    /// What one client is sent.
    Outbox,
    /// Events and address of a session.
    Last,
}

/// A mutex with its place in the order.
#[derive(Debug)]
pub(crate) struct Lock<T> {
    rank: Rank,
    value: Mutex<T>,
}

/// A lock that is held.
#[derive(Debug)]
pub(crate) struct Held<'a, T> {
    value: MutexGuard<'a, T>,
    _place: order::Place,
}

impl<T> Lock<T> {
    pub(crate) const fn new(rank: Rank, value: T) -> Self {
        Self { rank, value: Mutex::new(value) }
    }

    /// Waits until nobody else holds it. What a panic left behind is taken as it is: it ended a connection, not the gate.
    #[inline]
    pub(crate) fn lock(&self) -> Held<'_, T> {
        let place = order::enter(self.rank);
        Held { value: self.value.lock(), _place: place }
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

#[cfg(debug_assertions)]
mod order {
    use std::cell::RefCell;

    use crate::lock::Rank;

    thread_local! {
        static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
    }

    #[derive(Debug)]
    pub(super) struct Place(Rank);

    pub(super) fn enter(rank: Rank) -> Place {
        HELD.with_borrow_mut(|held| {
            assert!(may_follow(held, rank), "{rank:?} is locked while {held:?} are held, see `Rank`");
            held.push(rank);
        });
        Place(rank)
    }

    fn may_follow(held: &[Rank], rank: Rank) -> bool {
        let second = rank == Rank::Outbox && held == [Rank::Book, Rank::Outbox];
        second || held.iter().all(|other| (*other as u8) < rank as u8)
    }

    impl Drop for Place {
        fn drop(&mut self) {
            HELD.with_borrow_mut(|held| {
                if let Some(at) = held.iter().rposition(|rank| *rank == self.0) {
                    held.remove(at);
                }
            });
        }
    }
}

#[cfg(not(debug_assertions))]
mod order {
    #[derive(Debug)]
    pub(super) struct Place;

    #[inline]
    pub(super) const fn enter(_: crate::lock::Rank) -> Place {
        Place
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    /// Whether locks of these ranks may be taken one after the other.
    fn may(ranks: &[Rank]) -> bool {
        let locks: Vec<_> = ranks.iter().map(|rank| Lock::new(*rank, ())).collect();
        catch_unwind(|| drop(locks.iter().map(Lock::lock).collect::<Vec<_>>())).is_ok()
    }

    #[test]
    fn a_lock_taken_against_the_order_is_told() {
        use Rank::{Book, Last, Outbox};
        for good in [&[Book, Outbox, Last][..], &[Book, Last], &[Outbox, Last], &[Book, Outbox, Outbox, Last]] {
            assert!(may(good), "{good:?}");
        }
        for bad in [&[Outbox, Book][..], &[Last, Outbox], &[Last, Book], &[Outbox, Outbox], &[Book, Book], &[Book, Outbox, Outbox, Outbox]]
        {
            assert!(!may(bad), "{bad:?}");
        }
        assert!(may(&[Book]), "nothing is held any more");
    }
}
