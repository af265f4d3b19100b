//! `sessions`: what a guest can ask about connections.

use duet_core::{ConnId, Presence, Uid};
use wasmtime::component::{LinkerInstance, WasmStr};

use crate::host::state::{Cx, HostState};

/// Most members that one call returns.
const MEMBERS_MAX: u32 = 65_536;

pub(super) fn add_to_linker(sessions: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    sessions.func_wrap("online", |cx: Cx<'_>, (uid,): (i64,)| {
        Ok((match directory(&cx).presence(Uid(uid)) {
            Presence::Offline => 0u32,
            Presence::Connected => 1,
            Presence::Suspended => 2,
        },))
    })?;
    sessions.func_wrap("connection", |cx: Cx<'_>, (uid,): (i64,)| Ok((directory(&cx).conn_of(Uid(uid)).map_or(0, |conn| conn.0),)))?;
    sessions.func_wrap("uid", |cx: Cx<'_>, (conn,): (u64,)| Ok((directory(&cx).uid_of(ConnId(conn)).map_or(0, |uid| uid.0),)))?;
    sessions.func_wrap("address", |cx: Cx<'_>, (conn,): (u64,)| {
        Ok((directory(&cx).address(ConnId(conn)).map(|address| address.to_string()).ok_or(()),))
    })?;
    sessions.func_wrap("count", |cx: Cx<'_>, (what,): (u32,)| {
        let counts = directory(&cx).counts();
        Ok((match what {
            0 => counts.connections,
            1 => counts.bound,
            2 => counts.suspended,
            _ => 0,
        } as u64,))
    })?;
    sessions
        .func_wrap("member-count", |cx: Cx<'_>, (channel,): (WasmStr,)| Ok((directory(&cx).member_count(&channel.to_str(&cx)?) as u64,)))?;
    sessions.func_wrap("members", |cx: Cx<'_>, (channel, max): (WasmStr, u32)| {
        let members = directory(&cx).members(&channel.to_str(&cx)?, max.min(MEMBERS_MAX) as usize);
        Ok((members.iter().flat_map(|conn| conn.0.to_le_bytes()).collect::<Vec<u8>>(),))
    })
}

fn directory<'a>(cx: &'a Cx<'_>) -> &'a dyn duet_core::Directory {
    &*cx.data().context.directory
}
