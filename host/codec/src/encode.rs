//! Writing: data packets, error packets and heartbeats.

use std::time::Duration;

use crate::format::{Carrier, EXTCODE_ERROR, EXTCODE_PLAIN, Format, HEADER_BYTES, HEARTBEAT_BIT, Profile, SIZE_BYTES, TIME_BYTES};

/// Bytes of the code at the start of an error packet's body.
const CODE_BYTES: usize = 2;

/// A packet that cannot be written in this format. It is the fault of whoever made the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The route is outside the signed range of its field.
    #[error("route {route} does not fit into {bytes} bytes")]
    RouteOverflow {
        /// The route.
        route: i32,
        /// Bytes of the route field.
        bytes: usize,
    },
    /// The seq is outside the signed range of its field.
    #[error("seq {seq} does not fit into {bytes} bytes")]
    SeqOverflow {
        /// The seq.
        seq: i32,
        /// Bytes of the seq field.
        bytes: usize,
    },
    /// The body is above the limit of the format.
    #[error("body of {bytes} bytes is above the limit of {limit}")]
    TooBig {
        /// Bytes of the body.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
}

impl Format {
    /// Appends a data packet to `out`. A format without a seq field ignores `seq`.
    ///
    /// # Errors
    /// A route or seq outside the signed range of its field, or a body above the limit. `out` is unchanged then.
    #[inline]
    pub fn encode(&self, carrier: Carrier, route: i32, seq: i32, body: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.write_head(carrier, EXTCODE_PLAIN, route, seq, body.len(), out)?;
        out.extend_from_slice(body);
        Ok(())
    }

    /// Appends an error packet to `out`: `code` in the byte order of the codec, then `message`, cut at a character so that it fits
    /// into the body limit.
    ///
    /// # Errors
    /// A route or seq outside the signed range of its field, or a body limit of 1, where no code fits. `out` is unchanged then.
    pub fn encode_error(
        &self,
        carrier: Carrier,
        route: i32,
        seq: i32,
        code: u16,
        message: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let message_bytes_max = self.body_bytes_max().saturating_sub(CODE_BYTES);
        let message = cut_text(message, message_bytes_max);
        self.write_head(carrier, EXTCODE_ERROR, route, seq, CODE_BYTES + message.len(), out)?;
        out.extend_from_slice(&self.byte_order.u16_bytes(code));
        out.extend_from_slice(message.as_bytes());
        Ok(())
    }

    /// Appends a heartbeat to `out`. `time` is the time since the Unix epoch: `due2` writes nanoseconds (up to the year 2262), `seed`
    /// milliseconds.
    pub fn encode_heartbeat(&self, carrier: Carrier, time: Option<Duration>, out: &mut Vec<u8>) {
        let size = HEADER_BYTES + if time.is_some() { TIME_BYTES } else { 0 };
        if self.has_size(carrier) {
            out.extend_from_slice(&self.frame_order.u32_bytes(size as u32));
        }
        out.push(HEARTBEAT_BIT);
        if let Some(time) = time {
            let count = match self.profile {
                Profile::Due2 => time.as_nanos(),
                Profile::Seed => time.as_millis(),
            };
            out.extend_from_slice(&self.frame_order.i64_bytes(i64::try_from(count).unwrap_or(i64::MAX)));
        }
    }

    /// Checks everything, then appends all that is before the body.
    #[inline]
    fn write_head(
        &self,
        carrier: Carrier,
        extcode: u8,
        route: i32,
        seq: i32,
        body_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !self.route.fits(route) {
            return Err(EncodeError::RouteOverflow { route, bytes: self.route_bytes() });
        }
        if !self.seq.fits(seq) {
            return Err(EncodeError::SeqOverflow { seq, bytes: self.seq_bytes() });
        }
        if body_bytes > self.body_bytes_max() {
            return Err(EncodeError::TooBig { bytes: body_bytes, limit: self.body_bytes_max() });
        }
        let size = self.head_bytes() + body_bytes;
        out.reserve(SIZE_BYTES + size);
        if self.has_size(carrier) {
            out.extend_from_slice(&self.frame_order.u32_bytes(size as u32));
        }
        out.push(extcode);
        self.route.write(self.byte_order, route, out);
        self.seq.write(self.byte_order, seq, out);
        Ok(())
    }
}

/// The longest start of `text` that has at most `bytes_max` bytes and ends with a whole character.
pub(crate) fn cut_text(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::ByteOrder;

    fn format(route_bytes: u8, seq_bytes: u8, body_bytes_max: u32) -> Format {
        Format::new(Profile::Due2, ByteOrder::Big, route_bytes, seq_bytes, body_bytes_max).unwrap()
    }

    #[test]
    fn a_route_or_seq_out_of_its_signed_range_leaves_the_output_untouched() {
        let mut out = vec![7];
        for (bytes, value) in [(1, 128), (1, -129), (2, 32_768), (2, -32_769)] {
            let error = EncodeError::RouteOverflow { route: value, bytes: bytes as usize };
            assert_eq!(format(bytes, 4, 10).encode(Carrier::Stream, value, 0, b"x", &mut out), Err(error));
            let error = EncodeError::SeqOverflow { seq: value, bytes: bytes as usize };
            assert_eq!(format(4, bytes, 10).encode(Carrier::Stream, 0, value, b"x", &mut out), Err(error));
            assert_eq!(format(4, bytes, 10).encode_error(Carrier::Stream, 0, value, 1, "x", &mut out), Err(error));
        }
        assert_eq!(out, [7]);
    }

    #[test]
    fn a_format_without_a_seq_field_ignores_the_seq() {
        let mut out = Vec::new();
        format(1, 0, 10).encode(Carrier::Stream, -1, i32::MAX, b"", &mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 2, 0, 0xff]);
    }

    #[test]
    fn a_body_above_the_limit_leaves_the_output_untouched() {
        let mut out = vec![7];
        let error = EncodeError::TooBig { bytes: 11, limit: 10 };
        assert_eq!(format(2, 2, 10).encode(Carrier::Stream, 1, 1, &[0; 11], &mut out), Err(error));
        assert_eq!(out, [7]);
        assert_eq!(format(2, 2, 10).encode(Carrier::Stream, 1, 1, &[0; 10], &mut out), Ok(()));
    }

    #[test]
    fn an_error_message_is_cut_at_a_character_to_fit() {
        let mut out = Vec::new();
        format(1, 0, 7).encode_error(Carrier::Stream, 1, 0, 0x0102, "grün!", &mut out).unwrap();
        assert_eq!(out, b"\0\0\0\x09\x01\x01\x01\x02gr\xc3\xbcn");
        out.clear();
        format(1, 0, 5).encode_error(Carrier::Stream, 1, 0, 0x0102, "grün!", &mut out).unwrap();
        assert_eq!(out, b"\0\0\0\x06\x01\x01\x01\x02gr");
    }

    #[test]
    fn an_error_packet_needs_room_for_its_code() {
        let mut out = Vec::new();
        let error = EncodeError::TooBig { bytes: 2, limit: 1 };
        assert_eq!(format(1, 0, 1).encode_error(Carrier::Stream, 1, 0, 1, "x", &mut out), Err(error));
        assert!(out.is_empty());
    }

    #[test]
    fn a_time_beyond_the_range_of_the_field_is_its_largest_value() {
        let mut out = Vec::new();
        format(2, 2, 10).encode_heartbeat(Carrier::Stream, Some(Duration::MAX), &mut out);
        assert_eq!(out, [0, 0, 0, 9, 0x80, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn the_frame_of_the_load_test_of_due_has_1051_bytes() {
        let body = format!("{{\"message\":\"{}\"}}", "a".repeat(1_024));
        let format = format(4, 4, 100_000);
        let mut out = Vec::new();
        format.encode(Carrier::Stream, 1, 0x0102_0304, body.as_bytes(), &mut out).unwrap();
        assert_eq!(out[..13], [0, 0, 0x04, 0x17, 0, 0, 0, 0, 1, 1, 2, 3, 4]);
        assert_eq!((out.len(), format.packet_bytes(Carrier::Stream, body.len())), (1_051, 1_051));
    }
}
