//! How much may wait for a client, and who caused it.

use crate::GatewayOptions;

/// How much waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
}

impl Load {
    pub(crate) const NOTHING: Self = Self { packets: 0, bytes: 0 };

    /// About how many bytes of memory it takes: each packet has a place in the queue and an allocation of its own.
    pub(crate) const fn cost(self) -> usize {
        self.bytes + self.packets * PACKET_COST
    }

    /// Whether this much more would be above the limit.
    pub(crate) const fn is_over(self, packets: usize, bytes: usize, limits: &OutboxLimits) -> bool {
        self.packets + packets > limits.pushed.packets || self.bytes + bytes > limits.pushed.bytes
    }
}

/// Who caused a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its client: an answer, or what a request of its own pushes to it. It always finds room, because the gate takes no more requests than
    /// there is room for answers.
    Asked,
    /// Somebody else, in the call of this number.
    Call(u64),
    /// Whoever sent what the client missed before it resumed. What is kept for resumes bounds it: it takes no room from the others.
    Missed,
}

/// How much may wait, and how many requests may add to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxLimits {
    /// Packets and bytes of what others send.
    pub(crate) pushed: Load,
    /// Bytes of what the client asked for. Answers stay below it; only requests that push a lot to their own client can reach it.
    pub(crate) asked_bytes: usize,
    /// Requests in flight. A client that has this many is not read.
    pub(crate) requests: usize,
}

/// What a waiting packet takes besides its bytes.
const PACKET_COST: usize = 128;
/// The room for what a client asked for is `write_queue_bytes` times this.
const ASKED: usize = 64;

impl OutboxLimits {
    /// As many requests as there may be packets, but no more than there is room for if each answer is a packet of `packet_bytes_max`.
    pub(crate) fn new(options: &GatewayOptions, packet_bytes_max: usize) -> Self {
        let pushed = Load { packets: options.write_queue_packets, bytes: options.write_queue_bytes };
        let answers = pushed.bytes.saturating_mul(ASKED);
        let requests = (answers / packet_bytes_max.max(1)).min(pushed.packets).max(1);
        // What is already waiting when the client is no longer read comes on top.
        Self { pushed, asked_bytes: answers.saturating_add(pushed.bytes), requests }
    }

    /// Whether so much of what a client asked for waits that it is not read: half of the limit, and once that was reached, until a quarter
    /// is left. What others send it does not count: that may never become less.
    pub(crate) const fn is_full(&self, asked: Load, was_full: bool) -> bool {
        let part = if was_full { 4 } else { 2 };
        asked.packets > self.pushed.packets / part || asked.bytes > self.pushed.bytes / part
    }
}

/// Which limit a client that does not read has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Packets(usize),
    Bytes(usize),
    Asked(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_the_answers_to_all_requests_in_flight() {
        for (packets, bytes, packet_bytes_max, requests) in
            [(1024, 1 << 20, 65_600, 1023), (1024, 1 << 20, 100, 1024), (1024, 5 << 20, 4 << 20, 80), (1, 1024, 1 << 20, 1)]
        {
            let options = GatewayOptions { write_queue_packets: packets, write_queue_bytes: bytes, ..GatewayOptions::default() };
            let limits = OutboxLimits::new(&options, packet_bytes_max);
            assert_eq!(limits.requests, requests);
            assert!(requests == 1 || requests * packet_bytes_max + bytes / 2 <= limits.asked_bytes);
        }
    }

    #[test]
    fn a_client_is_not_read_from_half_of_the_limit_down_to_a_quarter() {
        let limits = OutboxLimits::new(&GatewayOptions::default(), 1024);
        let load = |packets, kib: usize| Load { packets, bytes: kib << 10 };
        assert!(!limits.is_full(load(512, 512), false) && limits.is_full(load(513, 0), false) && limits.is_full(load(0, 513), false));
        assert!(limits.is_full(load(257, 0), true) && limits.is_full(load(0, 257), true) && !limits.is_full(load(256, 256), true));
    }
}
