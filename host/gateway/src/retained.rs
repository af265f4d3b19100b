//! The last packets of a session, kept so that a client that lost its connection gets those it missed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use duet_core::Route;

/// What a kept packet takes besides its bytes.
const PACKET_BYTES: usize = 64;

/// Bytes that all sessions of a gate keep together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Total(Arc<AtomicUsize>);

impl Total {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Numbered packets, the oldest dropped when there are too many.
#[derive(Debug)]
pub(crate) struct Retained {
    packets: VecDeque<Kept>,
    bytes: usize,
    /// Number of the oldest.
    first: u64,
    /// Number of the first packet of which nothing was written when the socket was lost. The client cannot have it, nor any later one.
    unwritten: u64,
    packets_max: usize,
    bytes_max: usize,
    total: Total,
}

/// A packet that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) packet: Bytes,
    /// A later packet of this route takes its place as long as nothing of it is written.
    pub(crate) latest: Option<Route>,
}

/// Why the packets from a number on cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// What is kept begins with this number.
    Forgotten(u64),
    /// Only this many were ever sent.
    NeverSent(u64),
}

impl Retained {
    pub(crate) const fn new(packets_max: usize, bytes_max: usize, total: Total) -> Self {
        Self { packets: VecDeque::new(), bytes: 0, first: 0, unwritten: 0, packets_max, bytes_max, total }
    }

    /// The number of the next packet.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    /// What it costs to keep all this.
    pub(crate) fn cost(&self) -> usize {
        self.bytes + self.packets.len() * PACKET_BYTES
    }

    /// Keeps a packet and returns its number.
    pub(crate) fn push(&mut self, packet: Bytes, latest: Option<Route>) -> u64 {
        let number = self.next();
        self.change(|this| {
            this.bytes += packet.len();
            this.packets.push_back(Kept { packet, latest });
            while this.packets.len() > this.packets_max || this.bytes > this.bytes_max {
                this.drop_oldest();
            }
        });
        number
    }

    /// Puts another packet in the place of one that was not written yet.
    pub(crate) fn replace(&mut self, number: u64, packet: &Bytes) {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        self.change(|this| {
            if let Some(kept) = at.and_then(|at| this.packets.get_mut(at)) {
                this.bytes = this.bytes + packet.len() - kept.packet.len();
                kept.packet = packet.clone();
            }
        });
    }

    /// While there is no socket: the packet whose place a later one of this route takes.
    pub(crate) fn waiting(&self, route: Route) -> Option<u64> {
        let numbers = self.unwritten.max(self.first)..self.next();
        let mut waiting = numbers.rev().zip(self.packets.iter().rev());
        waiting.find_map(|(number, kept)| (kept.latest == Some(route)).then_some(number))
    }

    /// While there is no socket: whether one more packet would push out one that the client cannot have.
    pub(crate) fn is_full(&self, packet: &Bytes) -> bool {
        self.first >= self.unwritten && (self.packets.len() >= self.packets_max || self.bytes + packet.len() > self.bytes_max)
    }

    /// The socket is lost, and nothing was written of the packets from this number on.
    pub(crate) const fn set_unwritten(&mut self, number: u64) {
        self.unwritten = number;
    }

    /// The packets from a number on, each with its number.
    ///
    /// # Errors
    /// [`Gap`], if one of them was dropped, or if the number is above what was ever sent.
    pub(crate) fn since(&self, number: u64) -> Result<impl Iterator<Item = (u64, &Kept)>, Gap> {
        let at = number.checked_sub(self.first).ok_or(Gap::Forgotten(self.first))?;
        let at = usize::try_from(at).ok().filter(|at| *at <= self.packets.len()).ok_or(Gap::NeverSent(self.next()))?;
        Ok((number..).zip(self.packets.iter().skip(at)))
    }

    /// Forgets the packets below a number: the client has them.
    ///
    /// # Errors
    /// [`Gap::NeverSent`].
    pub(crate) fn acknowledge(&mut self, received: u64) -> Result<(), Gap> {
        if received > self.next() {
            return Err(Gap::NeverSent(self.next()));
        }
        self.change(|this| {
            while this.first < received {
                this.drop_oldest();
            }
            this.packets.shrink_to(this.packets.len() * 2);
        });
        Ok(())
    }

    /// Forgets all packets. A client that has them all can still resume.
    pub(crate) fn forget(&mut self) {
        self.change(|this| {
            this.first = this.next();
            (this.packets, this.bytes) = (VecDeque::new(), 0);
        });
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.packets.pop_front() {
            self.bytes -= oldest.packet.len();
            self.first += 1;
        }
    }

    /// Changes what is kept, and the total with it.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.cost();
        change(self);
        let after = self.cost();
        // A full list drops as much as it takes in, and then leaves the counter alone, which all sessions share.
        if before != after {
            self.total.0.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        }
    }
}

impl Drop for Retained {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(n: u64) -> Bytes {
        Bytes::copy_from_slice(&n.to_le_bytes())
    }

    fn retained(packets_max: usize, bytes_max: usize) -> Retained {
        Retained::new(packets_max, bytes_max, Total::default())
    }

    fn gap(retained: &Retained, number: u64) -> Result<Vec<Bytes>, Gap> {
        let since = retained.since(number)?.enumerate();
        Ok(since.inspect(|(at, (n, _))| assert_eq!(*n, number + *at as u64)).map(|(_, (_, kept))| kept.packet.clone()).collect())
    }

    #[test]
    fn the_gap_is_what_came_after_and_nothing_that_was_dropped() {
        let mut retained = retained(3, 1000);
        for n in 0..5 {
            assert_eq!(retained.push(packet(n), None), n);
        }
        assert_eq!(gap(&retained, 1), Err(Gap::Forgotten(2)), "number 1 was dropped");
        assert_eq!(gap(&retained, 2), Ok(vec![packet(2), packet(3), packet(4)]));
        assert_eq!(gap(&retained, 5), Ok(vec![]));
        assert_eq!(gap(&retained, 6), Err(Gap::NeverSent(5)), "nobody can have received it");
    }

    #[test]
    fn bytes_are_bounded_as_well() {
        let mut retained = retained(100, 16);
        (0..4).for_each(|n| assert_eq!(retained.push(packet(n), None), n));
        assert_eq!(gap(&retained, 2).map(|gap| gap.len()), Ok(2));
        assert!(gap(&retained, 1).is_err());
        retained.push(Bytes::from(vec![0; 17]), None);
        assert!(gap(&retained, 4).is_err(), "a packet above the limit is not kept");
        assert_eq!(gap(&retained, 5), Ok(vec![]));
    }

    #[test]
    fn a_later_packet_takes_the_place_of_an_earlier_one() {
        let mut retained = retained(3, 1000);
        (0..4).for_each(|n| assert_eq!(retained.push(packet(n), None), n));
        retained.replace(2, &packet(9));
        retained.replace(0, &packet(9));
        assert_eq!(gap(&retained, 1), Ok(vec![packet(1), packet(9), packet(3)]));
    }

    #[test]
    fn only_what_the_client_cannot_have_waits() {
        let mut retained = retained(3, 1000);
        let (world, other) = (Route(1), Route(2));
        retained.push(packet(0), Some(world));
        retained.set_unwritten(retained.next());
        assert_eq!(retained.waiting(world), None, "it was written");
        assert!(!retained.is_full(&packet(0)));
        for (n, route) in [(1, world), (2, other)] {
            retained.push(packet(n), Some(route));
        }
        assert_eq!((retained.waiting(world), retained.waiting(other), retained.waiting(Route(3))), (Some(1), Some(2), None));
        assert!(!retained.is_full(&packet(3)), "the oldest was written");
        retained.push(packet(3), None);
        assert!(retained.is_full(&packet(4)));
    }

    #[test]
    fn what_was_acknowledged_is_forgotten_and_costs_nothing() {
        let total = Total::default();
        let mut retained = Retained::new(10, 1000, total.clone());
        (0..4).for_each(|n| assert_eq!(retained.push(packet(n), None), n));
        assert_eq!(total.bytes(), 4 * (8 + PACKET_BYTES));
        assert_eq!(retained.acknowledge(3), Ok(()));
        assert_eq!(retained.acknowledge(1), Ok(()), "it is known already");
        assert_eq!(retained.acknowledge(5), Err(Gap::NeverSent(4)));
        assert_eq!((gap(&retained, 3), gap(&retained, 2)), (Ok(vec![packet(3)]), Err(Gap::Forgotten(3))));
        assert_eq!(total.bytes(), 8 + PACKET_BYTES);
        retained.forget();
        assert_eq!((gap(&retained, 4), gap(&retained, 3), total.bytes()), (Ok(vec![]), Err(Gap::Forgotten(4)), 0));
        retained.push(packet(4), None);
        drop(retained);
        assert_eq!(total.bytes(), 0);
    }
}
