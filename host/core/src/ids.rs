//! Identifiers as types of their own, so that one cannot be taken for another.

use std::fmt;

/// A client's connection. The upper 15 bits are the number of its gate, the lower 38 count the connections of that gate from 1. It stays
/// below 2^53, because a JavaScript plugin gets it as a number, and is not reused while its gate lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// A gate: the process that holds connections. Below 2^15. A single process is gate 0, the default, and its connections are simply 1, 2, 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GateId(u16);

/// An account. Positive; 0 on the wire means that a connection is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(pub i64);

/// What a message is about; decides which plugin handles it. Signed, as `due` sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route(pub i32);

/// What keeps requests together, such as a room: those with the same key are handled in order by one instance. Never 0, which means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u64);

/// A client's own number for a request; its reply carries it back. A push has 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub i32);

impl GateId {
    /// The highest gate number.
    pub const MAX: Self = Self((1 << 15) - 1);

    /// The gate of this number. `None` above [`GateId::MAX`], for which a connection's id has no room.
    pub const fn new(number: u16) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }
}

impl ConnId {
    /// Bits of the counter.
    const COUNTER_BITS: u32 = 38;
    /// How many connections a gate can number. At a thousand new ones a second they last 8 years; then counting begins at 1 again.
    const COUNTER_MAX: u64 = (1 << Self::COUNTER_BITS) - 1;

    /// Connection number `count` of a gate, counted from 1.
    pub const fn new(gate: GateId, count: u64) -> Self {
        Self((gate.0 as u64) << Self::COUNTER_BITS | (count.saturating_sub(1) % Self::COUNTER_MAX + 1))
    }

    /// The gate that holds it. `None` for a number that no gate gives out: a plugin may have made it up.
    pub const fn gate(self) -> Option<GateId> {
        let gate = self.0 >> Self::COUNTER_BITS;
        if gate <= u16::MAX as u64 { GateId::new(gate as u16) } else { None }
    }
}

impl Seq {
    /// The sequence number of every message that answers no request.
    pub const PUSH: Self = Self(0);
}

macro_rules! shown_as_a_number {
    ($($id:ident),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
shown_as_a_number!(ConnId, GateId, Key, Uid, Route, Seq);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_says_which_gate_has_it_and_those_of_gate_0_are_simply_counted() {
        for count in [1, 2, 3, ConnId::COUNTER_MAX] {
            assert_eq!(ConnId::new(GateId(0), count), ConnId(count));
            for gate in [GateId(0), GateId(1), GateId::MAX] {
                let conn = ConnId::new(gate, count);
                assert_eq!(conn.gate(), Some(gate), "{conn}");
                assert!(conn.0 < 1 << 53, "{conn}");
            }
        }
        assert_eq!(ConnId::new(GateId(3), 7), ConnId(3 * (1 << 38) + 7));
        assert_eq!((ConnId(1 << 53).gate(), ConnId(u64::MAX).gate()), (None, None));
        assert_eq!((GateId::new(32_767), GateId::new(32_768), GateId::new(u16::MAX)), (Some(GateId::MAX), None, None));
    }

    #[test]
    fn a_gate_that_has_counted_to_the_end_begins_again_and_does_not_run_into_the_next() {
        for gate in [GateId(0), GateId::MAX] {
            assert_eq!(ConnId::new(gate, ConnId::COUNTER_MAX + 1), ConnId::new(gate, 1));
            assert_eq!(ConnId::new(gate, ConnId::COUNTER_MAX * 2), ConnId::new(gate, ConnId::COUNTER_MAX));
        }
    }
}
