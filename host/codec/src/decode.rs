//! Reading: where a packet of a byte stream ends, and what is in it.

use std::time::Duration;

use crate::field::ByteOrder;
use crate::format::{Carrier, Format, HEARTBEAT_BIT, Profile, SIZE_BYTES};

/// The heartbeat of due-client-ts: its size is big endian whatever the byte order of the codec is.
///
/// A little-endian `due2` format accepts exactly these five bytes, on both carriers. That takes nothing from other clients: read
/// little endian the size is 16 MiB, and no packet with the heartbeat bit is longer than nine bytes after its size field.
const FOREIGN_HEARTBEAT: [u8; 5] = [0, 0, 0, 1, HEARTBEAT_BIT];
/// What its size field is when read little endian.
const FOREIGN_SIZE: u32 = 0x0100_0000;

/// Where the first packet of a byte stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// There is no whole packet yet: it has this many bytes, counted from its start, or at least this many are needed to know.
    Need(usize),
    /// The first bytes, this many, are a packet. Four bytes are an empty packet.
    Packet(usize),
}

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Nothing: a size of zero. It is ignored, but is a sign of life.
    Empty,
    /// A sign of life.
    Heartbeat {
        /// Time of the sender since the Unix epoch, if it is given and not before the epoch.
        time: Option<Duration>,
    },
    /// A message.
    Data {
        /// 0 for a plain packet, 1 for an error packet; others are reserved.
        extcode: u8,
        /// What the message is about.
        route: i32,
        /// Links a reply with its request; 0 if the format has no seq field.
        seq: i32,
        /// The message itself, not copied.
        body: &'a [u8],
    },
}

/// Bytes that are not a packet. It is always the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The packet ends inside its size, route or seq field.
    #[error("packet ends inside its header")]
    Short,
    /// The size field does not agree with the length of the packet.
    #[error("size field differs from the length of the packet")]
    SizeMismatch,
    /// The packet is longer than the format allows.
    #[error("packet of {size} bytes is above the limit of {limit}")]
    TooBig {
        /// Bytes of the packet without its size field.
        size: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// A heartbeat carries nothing, or eight bytes of time.
    #[error("heartbeat carries {bytes} bytes instead of 0 or 8")]
    Heartbeat {
        /// Bytes after the header.
        bytes: usize,
    },
}

impl Format {
    /// How long the first packet of a byte stream is.
    ///
    /// Looks at the four bytes of the size field; at a fifth one only for the heartbeat of due-client-ts, whose size is big endian even
    /// when the codec is little endian.
    ///
    /// # Errors
    /// [`DecodeError::TooBig`] as soon as the size field says so. The stream has no further packet then.
    #[inline]
    pub fn cut(&self, input: &[u8]) -> Result<Cut, DecodeError> {
        let Some(bytes) = input.first_chunk::<SIZE_BYTES>() else {
            return Ok(Cut::Need(SIZE_BYTES));
        };
        let size = self.frame_order.u32(*bytes);
        if size >= FOREIGN_SIZE || size > self.size_max {
            return self.cut_unusual(input, size);
        }
        Ok(cut_at(SIZE_BYTES + size as usize, input))
    }

    /// Reads one whole packet: with its size field on a stream, what one message holds on ws.
    ///
    /// # Errors
    /// What is wrong with the packet. The packets after it are not affected.
    #[inline]
    pub fn decode<'a>(&self, carrier: Carrier, packet: &'a [u8]) -> Result<Packet<'a>, DecodeError> {
        if !self.has_size(carrier) {
            return self.decode_content(packet);
        }
        let Some((bytes, content)) = packet.split_first_chunk::<SIZE_BYTES>() else {
            return match (carrier, packet) {
                (Carrier::Message, []) => Ok(Packet::Empty),
                _ => Err(DecodeError::Short),
            };
        };
        if u64::from(self.frame_order.u32(*bytes)) != content.len() as u64 {
            return self.decode_mismatch(packet);
        }
        self.decode_content(content)
    }

    /// Code and message of an error packet's body. None if it is shorter than a code or the message is not UTF-8.
    pub fn decode_error<'a>(&self, body: &'a [u8]) -> Option<(u16, &'a str)> {
        let (code, message) = body.split_first_chunk()?;
        Some((self.byte_order.u16(*code), str::from_utf8(message).ok()?))
    }

    /// Reads what follows the size field.
    #[inline]
    fn decode_content<'a>(&self, content: &'a [u8]) -> Result<Packet<'a>, DecodeError> {
        let Some((&header, rest)) = content.split_first() else {
            return Ok(Packet::Empty);
        };
        if header & HEARTBEAT_BIT != 0 {
            return self.decode_heartbeat(rest);
        }
        let (route, rest) = self.route.read(self.byte_order, rest).ok_or(DecodeError::Short)?;
        let (seq, body) = self.seq.read(self.byte_order, rest).ok_or(DecodeError::Short)?;
        if body.len() > self.body_bytes_max() {
            return Err(DecodeError::TooBig { size: content.len(), limit: self.head_bytes() + self.body_bytes_max() });
        }
        Ok(Packet::Data { extcode: header, route, seq, body })
    }

    fn decode_heartbeat<'a>(&self, content: &[u8]) -> Result<Packet<'a>, DecodeError> {
        if content.is_empty() {
            return Ok(Packet::Heartbeat { time: None });
        }
        let bytes = content.try_into().map_err(|_| DecodeError::Heartbeat { bytes: content.len() })?;
        let time = u64::try_from(self.frame_order.i64(bytes)).ok().map(match self.profile {
            Profile::Due2 => Duration::from_nanos,
            Profile::Seed => Duration::from_millis,
        });
        Ok(Packet::Heartbeat { time })
    }

    #[cold]
    fn cut_unusual(&self, input: &[u8], size: u32) -> Result<Cut, DecodeError> {
        if self.takes_foreign_heartbeat() && size == FOREIGN_SIZE {
            match input.get(SIZE_BYTES) {
                None => return Ok(Cut::Need(FOREIGN_HEARTBEAT.len())),
                Some(&HEARTBEAT_BIT) => return Ok(Cut::Packet(FOREIGN_HEARTBEAT.len())),
                Some(_) => {}
            }
        }
        if size > self.size_max {
            return Err(DecodeError::TooBig { size: size as usize, limit: self.size_max as usize });
        }
        Ok(cut_at(SIZE_BYTES + size as usize, input))
    }

    #[cold]
    fn decode_mismatch<'a>(&self, packet: &[u8]) -> Result<Packet<'a>, DecodeError> {
        if self.takes_foreign_heartbeat() && packet == FOREIGN_HEARTBEAT {
            return Ok(Packet::Heartbeat { time: None });
        }
        Err(DecodeError::SizeMismatch)
    }

    const fn takes_foreign_heartbeat(&self) -> bool {
        matches!(self.frame_order, ByteOrder::Little)
    }
}

#[inline]
fn cut_at(bytes: usize, input: &[u8]) -> Cut {
    if input.len() < bytes { Cut::Need(bytes) } else { Cut::Packet(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::BODY_BYTES_LIMIT;

    fn format(profile: Profile, byte_order: ByteOrder) -> Format {
        Format::new(profile, byte_order, 2, 2, 100).unwrap()
    }

    #[test]
    fn a_size_above_the_limit_is_an_error_at_the_fourth_byte() {
        let format = format(Profile::Due2, ByteOrder::Big);
        let error = DecodeError::TooBig { size: 106, limit: 105 };
        assert_eq!(format.cut(&[0, 0, 0]), Ok(Cut::Need(4)));
        assert_eq!(format.cut(&[0, 0, 0, 105]), Ok(Cut::Need(109)));
        assert_eq!(format.cut(&[0, 0, 0, 106]), Err(error));
        for bytes in [[0xff; 4], [0xff, 0xff, 0xff, 0xfc], [0x80, 0, 0, 0]] {
            assert!(matches!(format.cut(&bytes), Err(DecodeError::TooBig { .. })));
        }
    }

    #[test]
    fn a_packet_is_cut_at_its_last_byte() {
        let format = format(Profile::Due2, ByteOrder::Big);
        let stream = [0, 0, 0, 5, 0, 0, 1, 0, 2, 0];
        assert_eq!(format.cut(&stream[..8]), Ok(Cut::Need(9)));
        assert_eq!(format.cut(&stream[..9]), Ok(Cut::Packet(9)));
        assert_eq!(format.cut(&stream), Ok(Cut::Packet(9)));
    }

    #[test]
    fn a_zero_size_packet_is_four_bytes_and_empty() {
        for profile in [Profile::Due2, Profile::Seed] {
            let format = format(profile, ByteOrder::Big);
            assert_eq!(format.cut(&[0; 9]), Ok(Cut::Packet(4)));
            assert_eq!(format.decode(Carrier::Stream, &[0; 4]), Ok(Packet::Empty));
            assert_eq!(format.decode(Carrier::Message, &[]), Ok(Packet::Empty));
            assert_eq!(format.decode(Carrier::Stream, &[]), Err(DecodeError::Short));
        }
    }

    #[test]
    fn a_packet_that_ends_in_its_header_is_short() {
        let seed = format(Profile::Seed, ByteOrder::Big);
        for content in [&[0][..], &[0, 0], &[0, 0, 1], &[0, 0, 1, 0]] {
            assert_eq!(seed.decode(Carrier::Message, content), Err(DecodeError::Short));
        }
        let due2 = format(Profile::Due2, ByteOrder::Big);
        assert_eq!(due2.decode(Carrier::Message, &[0, 0, 0]), Err(DecodeError::Short));
        assert_eq!(due2.decode(Carrier::Message, &[0, 0, 0, 4, 0, 0, 1, 0]), Err(DecodeError::Short));
    }

    #[test]
    fn a_due2_message_whose_size_is_wrong_is_refused() {
        let format = format(Profile::Due2, ByteOrder::Big);
        for size in [0, 4, 6] {
            let message = [0, 0, 0, size, 0, 0, 1, 0, 2];
            assert_eq!(format.decode(Carrier::Message, &message), Err(DecodeError::SizeMismatch));
        }
    }

    #[test]
    fn a_body_above_the_limit_is_refused_in_a_message() {
        let format = format(Profile::Seed, ByteOrder::Big);
        assert!(matches!(format.decode(Carrier::Message, &[0; 105]), Ok(Packet::Data { .. })));
        let error = DecodeError::TooBig { size: 106, limit: 105 };
        assert_eq!(format.decode(Carrier::Message, &[0; 106]), Err(error));
    }

    #[test]
    fn a_tiny_body_limit_holds_although_a_heartbeat_is_longer() {
        let format = Format::new(Profile::Due2, ByteOrder::Big, 1, 0, 1).unwrap();
        let packet = [0, 0, 0, 4, 0, 7, 1, 2];
        assert_eq!(format.cut(&packet), Ok(Cut::Packet(8)));
        assert_eq!(format.decode(Carrier::Stream, &packet), Err(DecodeError::TooBig { size: 4, limit: 3 }));
    }

    #[test]
    fn the_big_endian_heartbeat_of_due_client_ts_is_accepted_by_a_little_endian_codec() {
        let format = format(Profile::Due2, ByteOrder::Little);
        let stream = [0, 0, 0, 1, 0x80, 0, 0, 0, 0];
        assert_eq!(format.cut(&stream[..4]), Ok(Cut::Need(5)));
        assert_eq!(format.cut(&stream), Ok(Cut::Packet(5)));
        for carrier in [Carrier::Stream, Carrier::Message] {
            assert_eq!(format.decode(carrier, &stream[..5]), Ok(Packet::Heartbeat { time: None }));
        }
    }

    #[test]
    fn the_tolerance_is_exactly_that_heartbeat() {
        let little = format(Profile::Due2, ByteOrder::Little);
        assert!(matches!(little.cut(&[0, 0, 0, 1, 0]), Err(DecodeError::TooBig { .. })));
        assert!(matches!(little.cut(&[0, 0, 0, 9, 0x80]), Err(DecodeError::TooBig { .. })));
        for message in [&[0, 0, 0, 1, 0x81][..], &[0, 0, 0, 1], &[0, 0, 0, 1, 0x80, 0], &[0, 0, 0, 2, 0x80]] {
            assert_eq!(little.decode(Carrier::Message, message), Err(DecodeError::SizeMismatch));
        }
        let big = format(Profile::Due2, ByteOrder::Big);
        assert!(matches!(big.cut(&[1, 0, 0, 0, 0x80]), Err(DecodeError::TooBig { .. })));
    }

    #[test]
    fn a_packet_of_16_mib_is_no_heartbeat() {
        let format = Format::new(Profile::Due2, ByteOrder::Little, 2, 2, BODY_BYTES_LIMIT).unwrap();
        assert_eq!(format.cut(&[0, 0, 0, 1]), Ok(Cut::Need(5)));
        assert_eq!(format.cut(&[0, 0, 0, 1, 0]), Ok(Cut::Need(0x0100_0004)));
        assert_eq!(format.cut(&[5, 0, 0, 1]), Ok(Cut::Need(0x0100_0009)));
        assert!(matches!(format.cut(&[6, 0, 0, 1]), Err(DecodeError::TooBig { .. })));
    }

    #[test]
    fn a_heartbeat_has_no_time_or_eight_bytes_of_it() {
        let format = format(Profile::Seed, ByteOrder::Little);
        assert_eq!(format.decode(Carrier::Message, &[0x80, 1]), Err(DecodeError::Heartbeat { bytes: 1 }));
        let time = Some(Duration::from_millis(258));
        assert_eq!(format.decode(Carrier::Message, &[0x80, 0, 0, 0, 0, 0, 0, 1, 2]), Ok(Packet::Heartbeat { time }));
        let before_epoch = [0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(format.decode(Carrier::Message, &before_epoch), Ok(Packet::Heartbeat { time: None }));
    }

    #[test]
    fn an_error_body_that_is_short_or_not_utf8_is_none() {
        let format = format(Profile::Due2, ByteOrder::Little);
        assert_eq!(format.decode_error(&[5, 0]), Some((5, "")));
        assert_eq!(format.decode_error(&[0, 1, b'n', b'o']), Some((256, "no")));
        assert_eq!(format.decode_error(&[5]), None);
        assert_eq!(format.decode_error(&[5, 0, 0xff]), None);
    }
}
