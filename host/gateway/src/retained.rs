//! The last packets of a session, kept so that a client that lost its connection gets those it missed.

use std::collections::VecDeque;

use bytes::Bytes;

/// Numbered packets, the oldest dropped when there are too many.
#[derive(Debug)]
pub(crate) struct Retained {
    packets: VecDeque<Bytes>,
    bytes: usize,
    /// Number of the oldest.
    first: u64,
    packets_max: usize,
    bytes_max: usize,
}

impl Retained {
    pub(crate) const fn new(packets_max: usize, bytes_max: usize) -> Self {
        Self { packets: VecDeque::new(), bytes: 0, first: 0, packets_max, bytes_max }
    }

    /// Keeps a packet and returns its number.
    pub(crate) fn push(&mut self, packet: Bytes) -> u64 {
        self.bytes += packet.len();
        self.packets.push_back(packet);
        let number = self.first + self.packets.len() as u64 - 1;
        while self.packets.len() > self.packets_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.packets.pop_front() else { break };
            self.bytes -= oldest.len();
            self.first += 1;
        }
        number
    }

    /// Puts another packet in the place of one that was not written yet.
    pub(crate) fn replace(&mut self, number: u64, packet: &Bytes) {
        let place = number.checked_sub(self.first).and_then(|at| self.packets.get_mut(usize::try_from(at).ok()?));
        if let Some(place) = place {
            self.bytes = self.bytes + packet.len() - place.len();
            *place = packet.clone();
        }
    }

    /// The packets from a number on. `None` if one of them was dropped, or if the number is above what was ever sent.
    pub(crate) fn since(&self, number: u64) -> Option<impl Iterator<Item = &Bytes>> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (at <= self.packets.len()).then(|| self.packets.iter().skip(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(n: u64) -> Bytes {
        Bytes::copy_from_slice(&n.to_le_bytes())
    }

    #[test]
    fn the_gap_is_what_came_after_and_nothing_that_was_dropped() {
        let mut retained = Retained::new(3, 1000);
        for n in 0..5 {
            assert_eq!(retained.push(packet(n)), n);
        }
        let since = |n| retained.since(n).map(|gap| gap.cloned().collect::<Vec<_>>());
        assert_eq!(since(1), None, "number 1 was dropped");
        assert_eq!(since(2), Some(vec![packet(2), packet(3), packet(4)]));
        assert_eq!(since(5), Some(vec![]));
        assert_eq!(since(6), None, "nobody can have received it");
    }

    #[test]
    fn bytes_are_bounded_as_well() {
        let mut retained = Retained::new(100, 16);
        (0..4).for_each(|n| assert_eq!(retained.push(packet(n)), n));
        assert_eq!(retained.since(2).map(Iterator::count), Some(2));
        assert!(retained.since(1).is_none());
        retained.push(Bytes::from(vec![0; 17]));
        assert!(retained.since(4).is_none(), "a packet above the limit is not kept");
        assert_eq!(retained.since(5).map(Iterator::count), Some(0));
    }

    #[test]
    fn a_later_packet_takes_the_place_of_an_earlier_one() {
        let mut retained = Retained::new(3, 1000);
        (0..4).for_each(|n| assert_eq!(retained.push(packet(n)), n));
        retained.replace(2, &packet(9));
        retained.replace(0, &packet(9));
        assert_eq!(retained.since(1).map(|gap| gap.cloned().collect()), Some(vec![packet(1), packet(9), packet(3)]));
    }
}
