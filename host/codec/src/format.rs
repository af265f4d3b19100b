//! The settings of a wire format: profile, byte order, field widths and the size limit.

use crate::field::{ByteOrder, Width};

/// Largest body limit a [`Format`] accepts, in bytes (16 MiB).
pub const BODY_BYTES_LIMIT: u32 = 16 * 1024 * 1024;

/// Extcode of a plain packet.
pub const EXTCODE_PLAIN: u8 = 0;
/// Extcode of an error packet: the body is a `u16` code, then a UTF-8 message that may be empty.
pub const EXTCODE_ERROR: u8 = 1;

/// Bytes of the size field; the field does not count itself.
pub(crate) const SIZE_BYTES: usize = 4;
/// Bytes of the header: heartbeat bit and extcode.
pub(crate) const HEADER_BYTES: usize = 1;
/// Bytes of the time in a heartbeat.
pub(crate) const TIME_BYTES: usize = 8;
/// Header bit that tells a heartbeat from a data packet.
pub(crate) const HEARTBEAT_BIT: u8 = 0x80;

/// Which generation of clients a listener talks to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Size field on every carrier, in the byte order of the codec; heartbeat time in nanoseconds.
    #[default]
    Due2,
    /// Size field on streams only; size and heartbeat time always big endian; heartbeat time in milliseconds.
    Seed,
}

/// What carries the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// A byte stream (tcp, kcp).
    Stream,
    /// One packet for each message (ws).
    Message,
}

/// Field widths and limits of one listener. All checks of widths happen in [`Format::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    pub(crate) profile: Profile,
    /// Order of route, seq and error code.
    pub(crate) byte_order: ByteOrder,
    /// Order of size and time.
    pub(crate) frame_order: ByteOrder,
    pub(crate) route: Width,
    pub(crate) seq: Width,
    pub(crate) body_bytes_max: u32,
    /// Largest legal value of the size field.
    pub(crate) size_max: u32,
}

/// A setting that no format can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The route field has 1, 2 or 4 bytes.
    #[error("route_bytes is {0}, must be 1, 2 or 4")]
    RouteBytes(u8),
    /// The seq field has 0, 1, 2 or 4 bytes.
    #[error("seq_bytes is {0}, must be 0, 1, 2 or 4")]
    SeqBytes(u8),
    /// The body limit is 1 to [`BODY_BYTES_LIMIT`] bytes.
    #[error("body_bytes_max is {0}, must be 1 to {BODY_BYTES_LIMIT}")]
    BodyBytesMax(u32),
}

impl Format {
    /// A format with `route_bytes` of 1, 2 or 4, `seq_bytes` of 0, 1, 2 or 4 and bodies of at most `body_bytes_max` bytes.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn new(profile: Profile, byte_order: ByteOrder, route_bytes: u8, seq_bytes: u8, body_bytes_max: u32) -> Result<Self, FormatError> {
        let route = Width::new(route_bytes).filter(|width| *width != Width::Absent).ok_or(FormatError::RouteBytes(route_bytes))?;
        let seq = Width::new(seq_bytes).ok_or(FormatError::SeqBytes(seq_bytes))?;
        if body_bytes_max == 0 || body_bytes_max > BODY_BYTES_LIMIT {
            return Err(FormatError::BodyBytesMax(body_bytes_max));
        }
        let frame_order = match profile {
            Profile::Due2 => byte_order,
            Profile::Seed => ByteOrder::Big,
        };
        let head_bytes = HEADER_BYTES as u32 + u32::from(route_bytes) + u32::from(seq_bytes);
        let heartbeat_bytes = (HEADER_BYTES + TIME_BYTES) as u32;
        let size_max = heartbeat_bytes.max(head_bytes + body_bytes_max);
        Ok(Self { profile, byte_order, frame_order, route, seq, body_bytes_max, size_max })
    }

    /// The profile.
    #[inline]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// The byte order of the codec. The seed profile writes size and time big endian all the same.
    #[inline]
    pub const fn byte_order(&self) -> ByteOrder {
        self.byte_order
    }

    /// Bytes of the route field: 1, 2 or 4.
    #[inline]
    pub const fn route_bytes(&self) -> usize {
        self.route.bytes()
    }

    /// Bytes of the seq field: 0, 1, 2 or 4.
    #[inline]
    pub const fn seq_bytes(&self) -> usize {
        self.seq.bytes()
    }

    /// The largest seq the format can carry, since seqs are signed; 0 if it has no seq field.
    #[inline]
    pub const fn seq_max(&self) -> i32 {
        match self.seq_bytes() {
            0 => 0,
            1 => i8::MAX as i32,
            2 => i16::MAX as i32,
            _ => i32::MAX,
        }
    }

    /// Largest body of a data packet in bytes, both ways.
    #[inline]
    pub const fn body_bytes_max(&self) -> usize {
        self.body_bytes_max as usize
    }

    /// Largest whole packet in bytes, size field included. No message of a message carrier is longer.
    #[inline]
    pub const fn packet_bytes_max(&self) -> usize {
        SIZE_BYTES + self.size_max as usize
    }

    /// Length in bytes of the data packet that carries a body of `body_bytes`, as [`Format::encode`] writes it.
    #[inline]
    pub const fn packet_bytes(&self, carrier: Carrier, body_bytes: usize) -> usize {
        let size_bytes = if self.has_size(carrier) { SIZE_BYTES } else { 0 };
        size_bytes + self.head_bytes() + body_bytes
    }

    /// Bytes of header, route and seq.
    #[inline]
    pub(crate) const fn head_bytes(&self) -> usize {
        HEADER_BYTES + self.route.bytes() + self.seq.bytes()
    }

    /// Whether packets begin with a size field.
    #[inline]
    pub(crate) const fn has_size(&self, carrier: Carrier) -> bool {
        !matches!((self.profile, carrier), (Profile::Seed, Carrier::Message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(route_bytes: u8, seq_bytes: u8, body_bytes_max: u32) -> Result<Format, FormatError> {
        Format::new(Profile::Due2, ByteOrder::Big, route_bytes, seq_bytes, body_bytes_max)
    }

    #[test]
    fn widths_out_of_range_are_refused() {
        for bytes in [0, 3, 5, 8, 255] {
            assert_eq!(new(bytes, 2, 1), Err(FormatError::RouteBytes(bytes)));
        }
        for bytes in [3, 5, 8, 255] {
            assert_eq!(new(2, bytes, 1), Err(FormatError::SeqBytes(bytes)));
        }
    }

    #[test]
    fn a_body_limit_of_zero_or_above_16_mib_is_refused() {
        for limit in [0, BODY_BYTES_LIMIT + 1, u32::MAX] {
            assert_eq!(new(2, 2, limit), Err(FormatError::BodyBytesMax(limit)));
        }
        assert!(new(2, 2, 1).is_ok() && new(2, 2, BODY_BYTES_LIMIT).is_ok());
    }

    #[test]
    fn the_largest_packet_has_room_for_a_heartbeat_with_time() {
        assert_eq!(new(1, 0, 1).unwrap().packet_bytes_max(), 13);
        assert_eq!(new(4, 4, 65_536).unwrap().packet_bytes_max(), 4 + 9 + 65_536);
    }

    #[test]
    fn only_seed_messages_have_no_size_field() {
        let due2 = new(2, 2, 10).unwrap();
        let seed = Format::new(Profile::Seed, ByteOrder::Big, 2, 2, 10).unwrap();
        assert_eq!((due2.packet_bytes(Carrier::Stream, 3), due2.packet_bytes(Carrier::Message, 3)), (12, 12));
        assert_eq!((seed.packet_bytes(Carrier::Stream, 3), seed.packet_bytes(Carrier::Message, 3)), (12, 8));
    }
}
