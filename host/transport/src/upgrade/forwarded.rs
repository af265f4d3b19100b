//! For whom a trusted proxy speaks, by `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use crate::Networks;

/// The right-most address that is not a trusted proxy's. What is to the left of it, or of something that is not an address, may have been
/// written by anybody.
pub(super) fn address(values: &[&str], proxies: &Networks) -> Option<IpAddr> {
    for entry in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        let address = parse(entry.trim())?.to_canonical();
        if !proxies.contains(address) {
            return Some(address);
        }
    }
    None
}

/// An address, perhaps with a port, or in brackets.
fn parse(entry: &str) -> Option<IpAddr> {
    let bare = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry.parse().ok().or_else(|| entry.parse().ok().map(|address: SocketAddr| address.ip())).or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_most_address_that_is_no_proxy_is_the_client() {
        let proxies = Networks::parse(["10.0.0.0/8", "fd00::/8"]).expect("networks");
        let table: [(&[&str], Option<&str>); 18] = [
            (&["192.0.2.7"], Some("192.0.2.7")),
            (&["6.6.6.6, 192.0.2.7"], Some("192.0.2.7")),
            (&["6.6.6.6, 192.0.2.7, 10.1.1.1,10.2.2.2"], Some("192.0.2.7")),
            (&["6.6.6.6", "192.0.2.7, 10.1.1.1", "fd00::1"], Some("192.0.2.7")),
            (&["192.0.2.7:1234"], Some("192.0.2.7")),
            (&["2001:db8::7"], Some("2001:db8::7")),
            (&["[2001:db8::7]:1234 , 10.1.1.1:80"], Some("2001:db8::7")),
            (&["[2001:db8::7]"], Some("2001:db8::7")),
            (&["::ffff:192.0.2.7"], Some("192.0.2.7")),
            (&["192.0.2.7, ::ffff:10.0.0.1"], Some("192.0.2.7")),
            // Beyond garbage, nothing can be trusted.
            (&["192.0.2.7, unknown"], None),
            (&["192.0.2.7, unknown, 10.1.1.1"], None),
            (&["garbage, 192.0.2.7"], Some("192.0.2.7")),
            (&["192.0.2.7,"], None),
            (&["192.0.2.7", ""], None),
            (&[""], None),
            (&[], None),
            (&["10.1.1.1, 10.2.2.2"], None),
        ];
        for (values, expected) in table {
            let expected = expected.map(|text| text.parse().expect("address"));
            assert_eq!(address(values, &proxies), expected, "{values:?}");
        }
    }
}
