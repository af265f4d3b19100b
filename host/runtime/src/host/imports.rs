//! The interfaces of `duet:plugin` that a plugin may import. Every value that comes from a guest is hostile.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::{Linker, WasmList, WasmStr};

use crate::host::state::{Cx, HostState};
use crate::host::{gateway, sessions};
use crate::load::contract::CONTRACT;

/// Most bytes that one `random.bytes` returns.
const RANDOM_BYTES_MAX: u32 = 65_536;

/// What `clock.monotonic-us` counts from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let name = |interface: &str| format!("duet:plugin/{interface}@{CONTRACT}");
    linker.instance(&name("log"))?.func_wrap("write", |cx: Cx<'_>, (level, message): (u32, WasmStr)| {
        let (state, message) = (cx.data(), message.to_str(&cx)?);
        if level == 1 {
            state.last_words.note(&message);
        }
        state.context.log.write(level, &message);
        Ok(())
    })?;
    linker.instance(&name("config"))?.func_wrap("get", |cx: Cx<'_>, (key,): (WasmStr,)| {
        let key = key.to_str(&cx)?;
        let value = key.split('.').try_fold(&cx.data().context.config, |value, part| value.get(part));
        Ok((value.map(ToString::to_string).ok_or(()),))
    })?;
    let mut clock = linker.instance(&name("clock"))?;
    clock.func_wrap("now-ms", |_: Cx<'_>, ()| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok((u64::try_from(now.as_millis()).unwrap_or(u64::MAX),))
    })?;
    clock.func_wrap("monotonic-us", |_: Cx<'_>, ()| Ok((u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX),)))?;
    let mut random = linker.instance(&name("random"))?;
    random.func_wrap("bytes", |_: Cx<'_>, (count,): (u32,)| {
        if count > RANDOM_BYTES_MAX {
            return Err(wasmtime::Error::msg(format!("random.bytes was asked for {count} bytes, the limit is {RANDOM_BYTES_MAX}")));
        }
        let mut bytes = vec![0u8; count as usize];
        fill(&mut bytes)?;
        Ok((bytes,))
    })?;
    random.func_wrap("number", |_: Cx<'_>, ()| Ok((u32::from_le_bytes(four_bytes()?),)))?;
    let mut text = linker.instance(&name("text"))?;
    text.func_wrap("decode", |cx: Cx<'_>, (bytes,): (WasmList<u8>,)| Ok((String::from_utf8_lossy(bytes.as_le_slice(&cx)).into_owned(),)))?;
    text.func_wrap("encode", |cx: Cx<'_>, (text,): (WasmStr,)| {
        Ok((match text.to_str(&cx)? {
            Cow::Borrowed(text) => text.as_bytes().to_vec(),
            Cow::Owned(text) => text.into_bytes(),
        },))
    })?;
    gateway::add_to_linker(&mut linker.instance(&name("gateway"))?)?;
    sessions::add_to_linker(&mut linker.instance(&name("sessions"))?)
}

fn four_bytes() -> wasmtime::Result<[u8; 4]> {
    let mut bytes = [0; 4];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> wasmtime::Result<()> {
    getrandom::fill(bytes).map_err(|e| wasmtime::Error::msg(format!("no random numbers: {e}")))
}
