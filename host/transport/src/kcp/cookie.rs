//! Cookies that prove an address without state: a keyed hash of address, conversation, life and time.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use siphasher::sip::SipHasher24;

use super::key::Key;

/// A cookie is good for this slot of time and the next: 4 to 8 s, many times a round trip.
const SLOT: Duration = Duration::from_secs(4);

/// Issues and checks cookies.
pub(super) struct Cookies {
    hasher: SipHasher24,
    start: Instant,
}

impl Cookies {
    /// With a secret from the operating system.
    pub(super) fn new() -> io::Result<Self> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)?;
        Ok(Self { hasher: SipHasher24::new_with_key(&secret), start: Instant::now() })
    }

    /// The slot of a time.
    pub(super) fn slot(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() / SLOT.as_secs()
    }

    /// The cookie of an address and conversation, for what comes after a life.
    pub(super) fn issue(&self, key: Key, life: u64, now: Instant) -> u32 {
        self.cookie(key, life, self.slot(now))
    }

    /// Whether a cookie is good.
    pub(super) fn check(&self, key: Key, life: u64, cookie: u32, now: Instant) -> bool {
        let slot = self.slot(now);
        [Some(slot), slot.checked_sub(1)].into_iter().flatten().any(|slot| self.cookie(key, life, slot) == cookie)
    }

    fn cookie(&self, key: Key, life: u64, slot: u64) -> u32 {
        let ip = match key.peer.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut bytes = [0; 38];
        let fields = [&ip.octets()[..], &key.peer.port().to_be_bytes(), &key.conv.to_be_bytes(), &life.to_be_bytes(), &slot.to_be_bytes()];
        bytes.iter_mut().zip(fields.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        let hash = self.hasher.hash(&bytes);
        (hash >> 32) as u32
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookies").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(peer: &str, conv: u32) -> Key {
        Key { peer: peer.parse().expect("address"), conv }
    }

    #[test]
    fn a_cookie_is_good_for_its_slot_and_the_next() {
        let cookies = Cookies::new().expect("random numbers");
        let client = key("192.0.2.1:7", 9);
        let cookie = cookies.issue(client, 0, cookies.start);
        for (slots, good) in [(0, true), (1, true), (2, false)] {
            assert_eq!(cookies.check(client, 0, cookie, cookies.start + SLOT * slots), good, "{slots}");
        }
    }

    #[test]
    fn a_cookie_is_good_for_no_other_address_port_conversation_life_or_listener() {
        let cookies = Cookies::new().expect("random numbers");
        let now = cookies.start;
        let client = key("192.0.2.1:7", 9);
        let cookie = cookies.issue(client, 3, now);
        for other in [key("192.0.2.2:7", 9), key("192.0.2.1:8", 9), key("192.0.2.1:7", 10), key("[2001:db8::1]:7", 9)] {
            assert!(!cookies.check(other, 3, cookie, now), "{other:?}");
        }
        assert!(!cookies.check(client, 4, cookie, now) && cookies.check(client, 3, cookie, now));
        let listener = Cookies::new().expect("random numbers");
        assert!(!listener.check(client, 3, cookie, listener.start));
    }
}
