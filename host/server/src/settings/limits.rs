//! `[limits]`: what one client, and one address, may do.

use duet_config::{Table, integer, list, size};
use duet_transport::Networks;

/// What one client may do. The defaults are far above what a player does, and far below what hurts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitSettings {
    /// Connections of one address at one time, 1 to 10,000,000. Default 64. A further one is closed at once. An address is
    /// an IPv4 address or the /64 of an IPv6 one.
    pub(crate) connections_per_address: u32,
    /// Connections that one address may open in a second, 1 to 1,000,000. Default 5. A further one is closed at once.
    pub(crate) connections_per_second: u32,
    /// Connections that one address may open at once, 1 to 1,000,000. Default 20.
    pub(crate) connections_burst: u32,
    /// Messages of one connection in a second, 1 to 1,000,000. Default 50. A further one is answered `busy` and goes no
    /// further; ten times as many close the connection.
    pub(crate) messages_per_second: u32,
    /// Messages of one connection at once, 1 to 1,000,000. Default 100.
    pub(crate) messages_burst: u32,
    /// Bytes of one connection in a second, 1 KiB to 1 GiB. Default 256 KiB. Above it the connection is read more slowly.
    pub(crate) bytes_per_second: u32,
    /// Bytes of one connection at once, 1 KiB to 1 GiB. Default 1 MiB.
    pub(crate) bytes_burst: u32,
    /// Addresses that all of these do not apply to. Default this machine itself: a load generator, or a proxy that does
    /// not say for whom it speaks.
    pub(crate) exempt: Networks,
    /// Peers that are believed when they say for whom they speak: with `X-Forwarded-For` on ws, and with the PROXY
    /// protocol where a listener asks for it. Default none. Only proxies of your own: who is in here can be any address.
    pub(crate) trusted_proxies: Networks,
    /// Addresses that are remembered, 1 to 10,000,000, 160 bytes each. Default 65,536. If all of them are connected, further
    /// ones are closed at once.
    pub(crate) addresses_max: usize,
}

impl Default for LimitSettings {
    fn default() -> LimitSettings {
        LimitSettings {
            connections_per_address: 64,
            connections_per_second: 5,
            connections_burst: 20,
            messages_per_second: 50,
            messages_burst: 100,
            bytes_per_second: 256 << 10,
            bytes_burst: 1 << 20,
            exempt: Networks::parse(["127.0.0.0/8", "::1/128"]).unwrap_or_default(),
            trusted_proxies: Networks::default(),
            addresses_max: 65_536,
        }
    }
}

impl LimitSettings {
    pub(super) fn read(mut table: Table<'_>) -> LimitSettings {
        let default = LimitSettings::default();
        let (million, sizes) = (1..=1_000_000, 1 << 10..=1 << 30);
        let settings = LimitSettings {
            connections_per_address: table
                .get("connections_per_address", &integer().range(1..=10_000_000))
                .or(default.connections_per_address),
            connections_per_second: table
                .get("connections_per_second", &integer().range(million.clone()))
                .or(default.connections_per_second),
            connections_burst: table.get("connections_burst", &integer().range(million.clone())).or(default.connections_burst),
            messages_per_second: table.get("messages_per_second", &integer().range(million.clone())).or(default.messages_per_second),
            messages_burst: table.get("messages_burst", &integer().range(million)).or(default.messages_burst),
            bytes_per_second: table.get("bytes_per_second", &size().range(sizes.clone())).or(default.bytes_per_second),
            bytes_burst: table.get("bytes_burst", &size().range(sizes)).or(default.bytes_burst),
            exempt: networks(&mut table, "exempt").unwrap_or(default.exempt),
            trusted_proxies: networks(&mut table, "trusted_proxies").unwrap_or(default.trusted_proxies),
            addresses_max: table.get("addresses_max", &integer().range(1..=10_000_000)).or(default.addresses_max),
        };
        table.finish();
        settings
    }
}

fn networks(table: &mut Table<'_>, key: &'static str) -> Option<Networks> {
    let allowed = "networks such as \"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.7\"";
    let entry = |text: &str| Networks::parse([text]).is_ok().then(|| text.to_owned());
    Networks::parse(table.get(key, &list(allowed, entry, String::clone)).optional()?).ok()
}
