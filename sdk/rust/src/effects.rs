//! Writing the packed list of effects (`wit/packed.md`).

use crate::{Error, Result, Target};

/// Bytes of an effect's header in version 1.
pub(crate) const HEADER_BYTES: usize = 24;
/// Flag: the target is a uid, or the targets are uids.
pub(crate) const FLAG_UID: u8 = 1;
/// Flag of a kick: what waits to be sent is lost.
pub(crate) const FLAG_AT_ONCE: u8 = 2;

/// Once the effects of a batch have so many bytes, the rest of its requests is left for the next call. Far below the 4 MiB that the host
/// takes with room for one more request, because a list has to fit into the memory of the instance while it grows.
pub(crate) const LIST_BYTES: usize = 1 << 20;

/// Effects that a request may have besides its answer.
pub(crate) const EFFECTS_MAX: usize = 4096;
/// Bytes that they may have as records; and so many its answer.
pub(crate) const EFFECT_BYTES_MAX: usize = 4 << 20;

/// What effects do, as the header says it.
pub(crate) mod kind {
    pub(crate) const REPLY: u8 = 0;
    pub(crate) const ERROR: u8 = 1;
    pub(crate) const PUSH: u8 = 2;
    pub(crate) const MULTICAST: u8 = 3;
    pub(crate) const BROADCAST: u8 = 4;
    pub(crate) const PUBLISH: u8 = 5;
    pub(crate) const SUBSCRIBE: u8 = 6;
    pub(crate) const UNSUBSCRIBE: u8 = 7;
    pub(crate) const BIND: u8 = 8;
    pub(crate) const UNBIND: u8 = 9;
    pub(crate) const KICK: u8 = 10;
    pub(crate) const REST: u8 = 11;
}

/// What the header of an effect says, besides sizes and request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effect {
    kind: u8,
    flags: u8,
    route: i32,
    target: u64,
}

impl Effect {
    /// Answers the request.
    pub(crate) const REPLY: Self = Self { kind: kind::REPLY, flags: 0, route: 0, target: 0 };

    /// Leaves the request, and all behind it, for the next call.
    pub(crate) const REST: Self = Self { kind: kind::REST, flags: 0, route: 0, target: 0 };

    /// Answers the request with an error packet.
    pub(crate) fn error(code: u16) -> Self {
        Self { kind: kind::ERROR, flags: 0, route: i32::from(code), target: 0 }
    }

    /// Sends to one.
    pub(crate) fn push(to: Target, route: i32) -> Self {
        Self { route, ..Self::on(to, kind::PUSH) }
    }

    /// Sends to this many connections or uids; the body begins with them.
    pub(crate) fn multicast(targets: u64, uids: bool, route: i32) -> Self {
        Self { kind: kind::MULTICAST, flags: flag(uids, FLAG_UID), route, target: targets }
    }

    /// Sends to all connections, or to all that are bound.
    pub(crate) fn broadcast(bound_only: bool, route: i32) -> Self {
        Self { kind: kind::BROADCAST, flags: 0, route, target: u64::from(bound_only) }
    }

    /// Sends to the members of a channel; the body begins with its name.
    pub(crate) fn publish(channel: &str, route: i32) -> Self {
        Self { kind: kind::PUBLISH, flags: 0, route, target: channel.len() as u64 }
    }

    /// Makes it a member of the channel in the body.
    pub(crate) fn subscribe(target: Target) -> Self {
        Self::on(target, kind::SUBSCRIBE)
    }

    /// Ends its membership of the channel in the body; of all if the body is empty.
    pub(crate) fn unsubscribe(target: Target) -> Self {
        Self::on(target, kind::UNSUBSCRIBE)
    }

    /// Binds the connection to the uid in the body.
    pub(crate) fn bind(conn: u64) -> Self {
        Self::on(Target::Conn(conn), kind::BIND)
    }

    /// Takes the uid away.
    pub(crate) fn unbind(target: Target) -> Self {
        Self::on(target, kind::UNBIND)
    }

    /// Closes with a code and the reason in the body.
    pub(crate) fn kick(target: Target, code: u16, at_once: bool) -> Self {
        let effect = Self::on(target, kind::KICK);
        Self { flags: effect.flags | flag(at_once, FLAG_AT_ONCE), route: i32::from(code), ..effect }
    }

    fn on(target: Target, kind: u8) -> Self {
        Self { kind, flags: flag(target.is_uid(), FLAG_UID), route: 0, target: target.bits() }
    }
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

/// The effects of one call, in the layout the host reads.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    bytes: Vec<u8>,
}

impl Effects {
    /// Appends to what `bytes` already holds.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// A place to which [`Effects::take_back`] returns.
    pub(crate) fn mark(&self) -> usize {
        self.bytes.len()
    }

    /// Drops everything appended since the mark.
    pub(crate) fn take_back(&mut self, mark: usize) {
        self.bytes.truncate(mark);
    }

    /// Appends an effect of a request, whose record has at most so many bytes. `write` writes the body in place and then says which effect
    /// it is; nothing is appended if it fails.
    #[inline]
    pub(crate) fn append(&mut self, request: u32, room: usize, write: impl FnOnce(&mut Vec<u8>) -> Result<Effect>) -> Result<()> {
        let start = self.mark();
        self.bytes.extend_from_slice(&[0; HEADER_BYTES]);
        let written = write(&mut self.bytes).and_then(|effect| self.write_header(start, room, request, effect));
        if written.is_err() {
            self.take_back(start);
        }
        written
    }

    // Inlined because most of it is constant at each call: that saves 10 ns per message in a guest.
    #[inline]
    fn write_header(&mut self, start: usize, room: usize, request: u32, effect: Effect) -> Result<()> {
        let size = self.bytes.len() - start;
        if size > room {
            return Err(too_large());
        }
        let mut header = [0; HEADER_BYTES];
        let fields = size as u128 | (HEADER_BYTES as u128) << 32 | u128::from(effect.kind) << 48 | u128::from(effect.flags) << 56;
        let fields = fields | u128::from(request) << 64 | u128::from(effect.route.cast_unsigned()) << 96;
        let (low, high) = header.split_at_mut(16);
        low.copy_from_slice(&fields.to_le_bytes());
        high.copy_from_slice(&effect.target.to_le_bytes());
        if let Some(place) = self.bytes.get_mut(start..start + HEADER_BYTES) {
            place.copy_from_slice(&header);
        }
        Ok(())
    }
}

#[cold]
fn too_large() -> Error {
    Error::handler(format!("the effects of a request have at most {EFFECT_BYTES_MAX} bytes, and its answer as many"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_its_code_in_the_route_field() {
        let mut effects = Effects::default();
        let append = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"no");
            Ok(Effect::error(1000))
        };
        effects.append(3, 100, append).unwrap();
        let hex: String = effects.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "1a000000180001000300 0000e803000000000000000000006e6f".replace(' ', ""));
    }

    #[test]
    fn a_body_that_fails_leaves_nothing_behind() {
        let mut effects = Effects::default();
        let failed = effects.append(0, 100, |out| {
            out.extend_from_slice(b"half");
            Err(Error::handler("no"))
        });
        assert!(failed.is_err());
        assert_eq!(effects.mark(), 0);
    }
}
