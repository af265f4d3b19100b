//! Stand-ins for the host: what a test set up, or else the system's clock, seeded random numbers, stderr, no configuration and no sessions.

pub(crate) mod gate;
pub(crate) mod sessions;
pub(crate) mod stand_in;

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use crate::log::Level;
use stand_in::{STAND_IN, StandIn};

pub(crate) fn log(level: Level, message: &str) {
    STAND_IN.with_borrow_mut(|host| match host {
        Some(host) => host.lines.push((level, message.to_owned())),
        None => eprintln!("{level:?}: {message}"),
    });
}

pub(crate) fn config(key: &str) -> Option<String> {
    STAND_IN.with_borrow(|host| host.as_ref()?.config.get(key).cloned())
}

pub(crate) fn now_ms() -> u64 {
    let now = STAND_IN.with_borrow(|host| host.as_ref().map(|host| host.now));
    let now = now.unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default());
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn monotonic_us() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let time = STAND_IN.with_borrow(|host| host.as_ref().map(|host| host.monotonic));
    let time = time.unwrap_or_else(|| START.get_or_init(Instant::now).elapsed());
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn random_bytes(count: u32) -> Vec<u8> {
    (0..count).map(|_| random_number().to_le_bytes()[0]).collect()
}

pub(crate) fn random_number() -> u32 {
    let number = STAND_IN.with_borrow_mut(|host| host.as_mut().map(|host| splitmix(&mut host.random)));
    // Good enough for a native run; a component gets its numbers from the operating system.
    number.unwrap_or_else(|| RandomState::new().hash_one(0)) as u32
}

/// The cell of the state for this test, which nobody takes back.
pub(crate) fn cell<S: Default + 'static>() -> Option<&'static RefCell<S>> {
    let place = |host: &mut StandIn| *host.state.get_or_insert_with(|| Box::leak(Box::<RefCell<S>>::default()));
    STAND_IN.with_borrow_mut(|host| host.as_mut().map(place))?.downcast_ref()
}

/// One step of the SplitMix64 generator.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
