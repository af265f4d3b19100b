//! Lists of networks, for peers that are trusted or not counted.

use std::net::IpAddr;

use duet_config::{Kind, list};
use ipnet::{IpNet, Ipv4Net};

/// An entry of a list that is not a network.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a network: write it like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7")]
pub struct NetworkError(String);

/// Networks of IPv4 and IPv6. An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.7`) is the IPv4 address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads entries like `10.0.0.0/8`, `2001:db8::/32` or a single address.
    ///
    /// # Errors
    /// [`NetworkError`] for the first entry that is none of these.
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self, NetworkError> {
        entries.into_iter().map(|entry| network(entry.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// This machine itself.
    pub fn loopback() -> Self {
        Self::parse(["127.0.0.0/8", "::1/128"]).unwrap_or_default()
    }

    /// Whether an address is in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a list of networks looks like in the settings.
pub fn networks() -> Kind<Networks> {
    let allowed = "networks such as \"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.7\"";
    list(allowed, |entry| network(entry).ok(), IpNet::to_string).map(Networks, |networks| networks.0.clone())
}

fn network(entry: &str) -> Result<IpNet, NetworkError> {
    let parsed = entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
    parsed.map(unmapped).map_err(|_| NetworkError(entry.to_owned()))
}

/// The IPv4 network that is meant by one below `::ffff:0:0/96`.
fn unmapped(network: IpNet) -> IpNet {
    let (IpAddr::V4(address), IpNet::V6(_)) = (network.addr().to_canonical(), network) else { return network };
    let mapped = network.prefix_len().checked_sub(96).and_then(|length| Ipv4Net::new(address, length).ok());
    mapped.map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_network_by_its_prefix() {
        let networks = Networks::parse(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:172.16.0.0/108"]).expect("networks");
        for inside in ["10.255.1.2", "192.0.2.7", "2001:db8:ffff::1", "::ffff:10.1.2.3", "172.31.0.1", "::ffff:172.16.0.1"] {
            assert!(networks.contains(inside.parse().expect("address")), "{inside}");
        }
        for outside in ["11.0.0.0", "192.0.2.8", "2001:db9::1", "::ffff:11.0.0.1", "172.32.0.1", "::10.1.2.3", "::1"] {
            assert!(!networks.contains(outside.parse().expect("address")), "{outside}");
        }
    }

    #[test]
    fn zero_bits_are_all_addresses_of_a_family() {
        let all = Networks::parse(["::/0"]).expect("network");
        assert!(all.contains("2001:db8::1".parse().expect("address")));
        assert!(!all.contains("::ffff:1.2.3.4".parse().expect("address")), "that is an IPv4 address");
        assert!(!Networks::default().contains("127.0.0.1".parse().expect("address")));
    }

    #[test]
    fn what_is_no_network_is_named() {
        for entry in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.0/", " 10.0.0.0/8", "::/129"] {
            let error = Networks::parse([entry]).expect_err(entry).to_string();
            assert!(error.starts_with(&format!("`{entry}` is not a network")), "{error}");
        }
    }
}
