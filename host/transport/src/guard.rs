//! How many connections one address may have, and how fast it may open them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use duet_config::integer;
use duet_core::Mutex;

pub use self::table::Refusal;
use self::table::{Source, Table};
use crate::networks::networks;
use crate::{Networks, Rate};

mod table;

duet_config::settings! {
    /// What a [`Guard`] allows.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GuardOptions {
        /// Connections of one address at one time: an IPv4 address, or the /64 of an IPv6 one. Further ones are told `busy` and closed.
        pub connections_per_address: u32 = 64, integer().range(1..=10_000_000);
        /// Connections that one address may open in a second. Further ones are told `busy` and closed.
        pub connections_per_second: f64 = 5.0, integer::<u32>().range(1..=1_000_000).map(f64::from, |count| *count as u32);
        /// Connections that one address may open at once.
        pub burst["connections_burst"]: u32 = 20, integer().range(1..=1_000_000);
        /// Networks that none of these limits applies to: by default this machine itself, a load generator or a proxy that does not say for
        /// whom it speaks.
        pub exempt: Networks = Networks::loopback(), networks();
        /// Addresses that are remembered, 160 bytes each. If all of them are connected, further ones are closed.
        pub addresses_max: usize = 65_536, integer().range(1..=10_000_000);
    }
}

/// Counts connections by address: a whole IPv4 address, or the /64 of an IPv6 one, because that is what one customer gets.
#[derive(Debug)]
pub struct Guard {
    options: GuardOptions,
    rate: Rate,
    table: Arc<Mutex<Table>>,
}

/// A place of an address, given back when it is dropped.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Permit {
    /// Where the address is in the table; nothing for an exempt one.
    place: Option<(Arc<Mutex<Table>>, u32)>,
}

impl Guard {
    /// A guard that has seen nobody.
    pub fn new(options: GuardOptions) -> Self {
        let rate = Rate { per_second: options.connections_per_second, burst: f64::from(options.burst) };
        let table = Arc::new(Mutex::new(Table::new(options.connections_per_address, options.addresses_max)));
        Self { options, rate, table }
    }

    /// A place for one more connection of an address. A refused connection costs the address nothing.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admit(&self, address: IpAddr, now: Instant) -> Result<Permit, Refusal> {
        if self.options.exempt.contains(address) {
            return Ok(Permit { place: None });
        }
        let at = self.table.lock().enter(Source::of(address), &self.rate, now)?;
        Ok(Permit { place: Some((Arc::clone(&self.table), at)) })
    }

    /// How many addresses are remembered.
    pub fn addresses(&self) -> usize {
        self.table.lock().len()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((table, at)) = &self.place {
            table.lock().leave(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use super::*;

    fn guard(connections_per_address: u32, burst: u32, addresses_max: usize) -> Guard {
        let exempt = Networks::parse(["127.0.0.0/8"]).expect("network");
        Guard::new(GuardOptions { connections_per_address, connections_per_second: 5.0, burst, exempt, addresses_max })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    fn v4(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0b00_0000 + number).into()
    }

    #[test]
    fn an_address_has_so_many_places_and_a_dropped_one_is_free_again() {
        let (guard, now) = (guard(3, 100, 10), Instant::now());
        let mut places: Vec<Permit> = (0..3).map(|_| guard.admit(ip("192.0.2.1"), now).expect("place")).collect();
        assert_eq!(guard.admit(ip("192.0.2.1"), now).expect_err("full"), Refusal::TooManyOfAddress);
        assert_eq!(guard.admit(ip("::ffff:192.0.2.1"), now).expect_err("the same address"), Refusal::TooManyOfAddress);
        let other = guard.admit(ip("192.0.2.2"), now).expect("another address");
        places.pop();
        let shared = Arc::new(guard.admit(ip("192.0.2.1"), now).expect("free again"));
        let also = Arc::clone(&shared);
        drop(shared);
        assert_eq!(guard.admit(ip("192.0.2.1"), now).expect_err("still held"), Refusal::TooManyOfAddress);
        drop((also, other));
        let _place = guard.admit(ip("192.0.2.1"), now).expect("free again");
    }

    #[test]
    fn a_network_of_64_bits_is_one_address_of_ipv6() {
        let (guard, now) = (guard(1, 100, 10), Instant::now());
        let _place = guard.admit(ip("2001:db8:0:1::1"), now).expect("place");
        assert_eq!(guard.admit(ip("2001:db8:0:1:ffff::9"), now).expect_err("same /64"), Refusal::TooManyOfAddress);
        let _other = guard.admit(ip("2001:db8:0:2::1"), now).expect("another /64");
        // The same bits in the other family are somebody else.
        let _v6 = guard.admit(Ipv6Addr::from_bits(0xc000_0201 << 64).into(), now).expect("IPv6");
        let _v4 = guard.admit(ip("192.0.2.1"), now).expect("IPv4");
    }

    #[test]
    fn a_fast_address_waits_until_tokens_come_back() {
        let (guard, now) = (guard(64, 20, 10), Instant::now());
        let admitted = |now| (0..50).filter(|_| guard.admit(ip("192.0.2.1"), now).is_ok()).count();
        assert_eq!(admitted(now), 20);
        assert_eq!(guard.admit(ip("192.0.2.1"), now).expect_err("empty"), Refusal::TooFast);
        assert_eq!(admitted(now + Duration::from_secs(2)), 10);
        assert_eq!(admitted(now + Duration::from_secs(60)), 20);
        assert_eq!(guard.addresses(), 1);
    }

    #[test]
    fn exempt_networks_are_not_counted() {
        let (guard, now) = (guard(1, 1, 1), Instant::now());
        let places: Vec<_> = (0..1000).map(|_| guard.admit(ip("127.9.9.9"), now).expect("exempt")).collect();
        assert_eq!((places.len(), guard.addresses()), (1000, 0));
    }

    #[test]
    fn the_table_is_full_only_when_every_address_in_it_is_connected() {
        let (guard, now) = (guard(2, 2, 100), Instant::now());
        let mut places: Vec<Permit> = (0..100).map(|n| guard.admit(v4(n), now).expect("place")).collect();
        assert_eq!(guard.admit(v4(100), now).expect_err("full"), Refusal::TableFull);
        let _second = guard.admit(v4(50), now).expect("known addresses go on");
        drop(places.remove(7));
        let newcomer = guard.admit(v4(100), now).expect("the address that left makes room");
        assert_eq!((guard.admit(v4(7), now).expect_err("forgotten"), guard.addresses()), (Refusal::TableFull, 100));
        drop(newcomer);
        let _back = guard.admit(v4(7), now).expect("room again");
    }

    #[test]
    fn who_used_nothing_up_is_forgotten_before_who_did() {
        let (guard, now) = (guard(64, 20, 1000), Instant::now());
        for _ in 0..20 {
            drop(guard.admit(v4(1), now));
        }
        // Calm addresses, one a second, take the place of one before: the table grows only until the first bucket is full again.
        for n in 2..500 {
            drop(guard.admit(v4(n), now + Duration::from_secs(u64::from(n))));
        }
        assert!(guard.addresses() <= 4, "{} addresses", guard.addresses());
    }

    #[test]
    fn an_address_that_goes_on_trying_is_not_forgotten_for_newcomers() {
        let (guard, now) = (guard(64, 20, 100), Instant::now());
        let hammer = || guard.admit(v4(0), now).map(drop);
        assert_eq!((0..20).filter(|_| hammer().is_ok()).count(), 20);
        for n in 1..10_000 {
            drop(guard.admit(v4(n), now).expect("another address makes room"));
            assert_eq!(hammer().expect_err("empty"), Refusal::TooFast, "after {n} newcomers");
        }
    }

    #[test]
    fn a_million_addresses_take_no_more_memory_than_the_table() {
        let (guard, start) = (guard(64, 20, 65_536), Instant::now());
        for n in 0..1_000_000 {
            drop(guard.admit(v4(n), start + Duration::from_micros(u64::from(n))).expect("idle addresses make room"));
            assert!(guard.addresses() <= 65_536);
        }
        let bytes = guard.table.lock().bytes();
        eprintln!("guard: 1,000,000 addresses, {} entries, {:.1} MiB", guard.addresses(), bytes as f64 / 1_048_576.0);
        assert_eq!(guard.addresses(), 65_536);
        assert!(bytes < 16 << 20, "{bytes} bytes");
    }

    #[test]
    #[ignore = "prints what a connection costs; run it with --release"]
    fn cost_of_a_place() {
        for addresses in [1, 1_000, 65_536, 1_000_000] {
            let (guard, start) = (guard(64, 20, 65_536), Instant::now());
            for round in 0..2 {
                let begun = Instant::now();
                for n in 0..1_000_000_u32 {
                    let address = v4(n.wrapping_mul(0x9e37_79b1) % addresses);
                    drop(guard.admit(address, start + Duration::from_micros(u64::from(n))));
                }
                eprintln!("{addresses} addresses, round {round}: {} ns", begun.elapsed().as_nanos() / 1_000_000);
            }
        }
    }
}
