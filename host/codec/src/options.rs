//! The layout of packets as an operator sets it.

use duet_config::{choice, integer, size};

use crate::{BODY_BYTES_LIMIT, ByteOrder, Format, FormatError, Profile};

duet_config::settings! {
    /// `[codec]`: the layout of packets. Gate, nodes and clients share it; a listener may have its own byte order and widths.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CodecOptions {
        /// Order of the bytes of numbers.
        pub byte_order: ByteOrder = ByteOrder::Big, choice(&[("big", ByteOrder::Big), ("little", ByteOrder::Little)]), again;
        /// Bytes of a route. A reply or push whose route does not fit is not sent.
        pub route_bytes: u8 = 2, integer().one_of(&[1, 2, 4]), again;
        /// Bytes of a sequence number; with 0 there is none.
        pub seq_bytes: u8 = 2, integer().one_of(&[0, 1, 2, 4]), again;
        /// The largest body of a packet in bytes, in both directions. A client that announces more is dropped before anything is
        /// allocated; a plugin that answers more has its answer refused.
        pub body_bytes_max: u32 = 64 << 10, size().range(1..=BODY_BYTES_LIMIT);
    }
}

impl CodecOptions {
    /// The format of a listener with these options.
    ///
    /// # Errors
    /// The first option that no format can have.
    pub fn format(&self, profile: Profile) -> Result<Format, FormatError> {
        Format::new(profile, self.byte_order, self.route_bytes, self.seq_bytes, self.body_bytes_max)
    }
}
