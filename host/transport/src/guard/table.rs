//! What is remembered of addresses. It is bounded, and those without a connection are forgotten first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::{Rate, TokenBucket};

/// Why a connection is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The address has as many connections as it may have.
    #[error("too many connections of this address")]
    TooManyOfAddress,
    /// The address opens connections faster than it may.
    #[error("this address opens connections too fast")]
    TooFast,
    /// Every address that can be remembered has a connection.
    #[error("too many addresses are connected")]
    TableFull,
}

/// No slot: the end of the list.
const NONE: u32 = u32::MAX;

/// Whom connections are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
}

/// Slots that never move while somebody is connected. Those of addresses without connections form a list in the order in which
/// they were seen last, so that the one to forget is found without a search. The map's hash is keyed at random: nobody can choose
/// addresses that collide.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    index: HashMap<Source, u32>,
    oldest_idle: u32,
    newest_idle: u32,
    live_max: u32,
    slots_max: usize,
}

#[derive(Debug)]
struct Slot {
    source: Source,
    bucket: TokenBucket,
    live: u32,
    /// Neighbours in the list of idle slots.
    older: u32,
    newer: u32,
}

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits()),
            IpAddr::V6(v6) => Self::V6((v6.to_bits() >> 64) as u64),
        }
    }
}

impl Table {
    pub(super) fn new(live_max: u32, slots_max: usize) -> Self {
        let slots_max = slots_max.min(NONE as usize);
        Self { slots: Vec::new(), index: HashMap::new(), oldest_idle: NONE, newest_idle: NONE, live_max, slots_max }
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Counts one more connection. Returns its slot.
    pub(super) fn enter(&mut self, source: Source, rate: &Rate, now: Instant) -> Result<u32, Refusal> {
        let at = match self.index.get(&source) {
            Some(at) => *at,
            None => self.remember(source, rate, now)?,
        };
        let Some(slot) = self.slots.get_mut(at as usize) else { return Err(Refusal::TableFull) };
        if slot.live >= self.live_max {
            return Err(Refusal::TooManyOfAddress);
        }
        let idle = slot.live == 0;
        let admitted = slot.bucket.take_at(1, rate, now);
        slot.live += u32::from(admitted);
        if idle {
            self.unlink(at);
        }
        if !admitted {
            // Newest again: whoever keeps trying is not forgotten in favour of newcomers, which would earn it a full bucket.
            if idle {
                self.link(at);
            }
            return Err(Refusal::TooFast);
        }
        Ok(at)
    }

    /// Takes back what [`Table::enter`] counted.
    pub(super) fn leave(&mut self, at: u32) {
        let Some(slot) = self.slots.get_mut(at as usize) else { return };
        slot.live = slot.live.saturating_sub(1);
        if slot.live == 0 {
            self.link(at);
        }
    }

    /// A slot for an address that is not known, idle at first.
    fn remember(&mut self, source: Source, rate: &Rate, now: Instant) -> Result<u32, Refusal> {
        let fresh = Slot { source, bucket: TokenBucket::full(rate, now), live: 0, older: NONE, newer: NONE };
        let room = self.slots.len() < self.slots_max;
        let oldest = self.oldest_idle;
        let at = match self.slots.get(oldest as usize) {
            // An idle address with a full bucket is as good as unknown. Without room, one that has used some of it is forgotten too.
            Some(slot) if !room || slot.bucket.is_full(rate, now) => {
                self.unlink(oldest);
                if let Some(slot) = self.slots.get_mut(oldest as usize) {
                    self.index.remove(&std::mem::replace(slot, fresh).source);
                }
                oldest
            }
            _ if room => {
                self.slots.push(fresh);
                (self.slots.len() - 1) as u32
            }
            _ => return Err(Refusal::TableFull),
        };
        self.index.insert(source, at);
        self.link(at);
        Ok(at)
    }

    /// Puts a slot at the new end of the idle ones.
    fn link(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.newest_idle, at);
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.older = before;
        }
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.newer = at,
            None => self.oldest_idle = at,
        }
    }

    /// Takes a slot out of the idle ones.
    fn unlink(&mut self, at: u32) {
        let Some(slot) = self.slots.get_mut(at as usize) else { return };
        let older = std::mem::replace(&mut slot.older, NONE);
        let newer = std::mem::replace(&mut slot.newer, NONE);
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest_idle = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest_idle = older,
        }
    }

    /// Memory in use: the map holds at most 7 entries for each 8 places, with one byte more for each.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.index.capacity() * 8 / 7 * (size_of::<(Source, u32)>() + 1)
    }
}
