//! Writing the packed list of effects (`wit/packed.md`).

use crate::{Error, Result};

/// Bytes of an effect's header in version 1.
pub(crate) const HEADER_BYTES: usize = 24;

/// What an effect does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Answers a request.
    Reply { request: u32 },
    /// Answers a request with an error packet.
    Error { request: u32, code: u16 },
    /// Sends to a connection.
    Push { request: u32, conn: u64, route: i32 },
}

/// The effects of one call, in the layout the host reads.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    bytes: Vec<u8>,
}

impl Effects {
    /// Goes on behind what `bytes` already holds.
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

    /// Appends an effect whose body is written in place. Nothing is appended if the body fails.
    #[inline]
    pub(crate) fn append(&mut self, effect: Effect, body: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let start = self.mark();
        self.bytes.extend_from_slice(&[0; HEADER_BYTES]);
        let written = body(&mut self.bytes).and_then(|()| self.write_header(start, effect));
        if written.is_err() {
            self.take_back(start);
        }
        written
    }

    fn write_header(&mut self, start: usize, effect: Effect) -> Result<()> {
        let size = u32::try_from(self.bytes.len() - start).map_err(|_| Error::handler("an effect of 4 GiB"))?;
        let (kind, request, route, target) = match effect {
            Effect::Reply { request } => (0, request, 0, 0),
            Effect::Error { request, code } => (1, request, i32::from(code), 0),
            Effect::Push { request, conn, route } => (2, request, route, conn),
        };
        let mut header = [0; HEADER_BYTES];
        let fields = u128::from(size) | (HEADER_BYTES as u128) << 32 | kind << 48 | u128::from(request) << 64;
        let fields = fields | u128::from(route.cast_unsigned()) << 96;
        let (low, high) = header.split_at_mut(16);
        low.copy_from_slice(&fields.to_le_bytes());
        high.copy_from_slice(&target.to_le_bytes());
        if let Some(place) = self.bytes.get_mut(start..start + HEADER_BYTES) {
            place.copy_from_slice(&header);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(effect: Effect, body: &[u8]) -> String {
        let mut effects = Effects::default();
        let append = |out: &mut Vec<u8>| {
            out.extend_from_slice(body);
            Ok(())
        };
        effects.append(effect, append).unwrap();
        effects.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn golden(name: &str) -> String {
        let lines = include_str!("../wit/packed-v1.golden").lines();
        lines.filter_map(|line| line.strip_prefix(name)).collect::<String>().replace(' ', "")
    }

    #[test]
    fn reply_and_push_have_the_golden_bytes() {
        assert_eq!(hex(Effect::Reply { request: 0 }, b"yo"), golden("reply"));
        assert_eq!(hex(Effect::Push { request: 0, conn: 6, route: 8 }, b"!"), golden("push"));
    }

    #[test]
    fn an_error_carries_its_code_in_the_route_field() {
        let bytes = hex(Effect::Error { request: 3, code: 1000 }, b"no");
        assert_eq!(bytes, "1a000000180001000300 0000e803000000000000000000006e6f".replace(' ', ""));
    }

    #[test]
    fn a_body_that_fails_leaves_nothing_behind() {
        let mut effects = Effects::default();
        let failed = effects.append(Effect::Reply { request: 0 }, |out| {
            out.extend_from_slice(b"half");
            Err(Error::handler("no"))
        });
        assert!(failed.is_err());
        assert_eq!(effects.mark(), 0);
    }
}
