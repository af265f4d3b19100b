//! The formats that these servers speak.

use duet_codec::{ByteOrder, Format, Profile};

/// A format with routes of 2 bytes and bodies of up to 4 KiB.
pub fn format(profile: Profile, byte_order: ByteOrder, seq_bytes: u8) -> Format {
    Format::new(profile, byte_order, 2, seq_bytes, 4_096).unwrap()
}

/// The format that most tests use.
pub fn usual() -> Format {
    format(Profile::Due2, ByteOrder::Big, 2)
}
