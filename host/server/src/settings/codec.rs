//! `[codec]`: the layout of packets.

use duet_config::{Field, Table, choice, integer, size};

/// The layout of packets. Gate, nodes and clients share it; a listener may have its own byte order and widths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodecSettings {
    /// Order of the bytes of numbers. Default `big`.
    pub(crate) byte_order: ByteOrder,
    /// Bytes of a route: 1, 2 or 4. Default 2. A reply or push whose route does not fit is not sent.
    pub(crate) route_bytes: u8,
    /// Bytes of a sequence number: 0 (there is none), 1, 2 or 4. Default 2.
    pub(crate) seq_bytes: u8,
    /// The largest body of a packet in bytes, in both directions, 1 to 16 MiB. Default 64 KiB. A client that announces
    /// more is dropped before anything is allocated; a plugin that answers more has its answer refused.
    pub(crate) body_bytes_max: usize,
}

/// Order of the bytes of numbers in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    /// The most significant byte first.
    Big,
    /// The least significant byte first.
    Little,
}

impl Default for CodecSettings {
    fn default() -> CodecSettings {
        CodecSettings { byte_order: ByteOrder::Big, route_bytes: 2, seq_bytes: 2, body_bytes_max: 64 << 10 }
    }
}

impl CodecSettings {
    pub(super) fn read(mut table: Table<'_>) -> CodecSettings {
        let default = CodecSettings::default();
        let settings = CodecSettings {
            byte_order: byte_order(&mut table).or(default.byte_order),
            route_bytes: route_bytes(&mut table).or(default.route_bytes),
            seq_bytes: seq_bytes(&mut table).or(default.seq_bytes),
            body_bytes_max: table.get("body_bytes_max", &size().range(1..=16 << 20)).or(default.body_bytes_max),
        };
        table.finish();
        settings
    }
}

pub(super) fn byte_order<'d>(table: &mut Table<'d>) -> Field<'d, ByteOrder> {
    table.get("byte_order", &choice(&[("big", ByteOrder::Big), ("little", ByteOrder::Little)]))
}

pub(super) fn route_bytes<'d>(table: &mut Table<'d>) -> Field<'d, u8> {
    table.get("route_bytes", &integer().one_of(&[1, 2, 4]))
}

pub(super) fn seq_bytes<'d>(table: &mut Table<'d>) -> Field<'d, u8> {
    table.get("seq_bytes", &integer().one_of(&[0, 1, 2, 4]))
}
