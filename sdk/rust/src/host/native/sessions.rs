//! What a stand-in says about connections.

use super::gate::{Gate, Session};
use super::stand_in::STAND_IN;

pub(crate) fn online(uid: i64) -> u32 {
    look_up(|gate| gate.of_uid(uid).map_or(0, |(_, session)| if session.suspended { 2 } else { 1 }))
}

pub(crate) fn connection(uid: i64) -> u64 {
    look_up(|gate| gate.of_uid(uid).map_or(0, |(conn, _)| conn))
}

pub(crate) fn uid(conn: u64) -> i64 {
    look_up(|gate| gate.connections.get(&conn).map_or(0, |session| session.uid))
}

pub(crate) fn address(conn: u64) -> Result<String, ()> {
    look_up(|gate| gate.connections.get(&conn).map(|session| session.address.clone())).ok_or(())
}

pub(crate) fn count(what: u32) -> u64 {
    let counted = |session: &&Session| match what {
        0 => true,
        1 => session.uid != 0,
        2 => session.suspended,
        _ => false,
    };
    look_up(|gate| gate.connections.values().filter(counted).count() as u64)
}

pub(crate) fn member_count(channel: &str) -> u64 {
    look_up(|gate| gate.channels.get(channel).map_or(0, Vec::len) as u64)
}

pub(crate) fn members(channel: &str, max: u32) -> Vec<u8> {
    let first = |members: &Vec<u64>| members.iter().take(max.min(65_536) as usize).flat_map(|conn| conn.to_le_bytes()).collect();
    look_up(|gate| gate.channels.get(channel).map(first).unwrap_or_default())
}

fn look_up<T: Default>(answer: impl FnOnce(&Gate) -> T) -> T {
    STAND_IN.with_borrow(|host| host.as_ref().map(|host| answer(&host.gate)).unwrap_or_default())
}
