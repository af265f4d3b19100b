//! `gateway`: effects that a guest makes by calling instead of returning them.

use duet_core::packed::{EffectError, EffectIter, EffectRecord, put_effect};
use duet_core::{Action, ConnId, EFFECT_BYTES_MAX, EFFECTS_MAX, ErrorCode, RECEIVERS_MAX, Route, Target, Targets, Uid};
use wasmtime::component::{LinkerInstance, WasmList, WasmStr};

use crate::host::reached::Reached;
use crate::host::state::{Cx, HostState};

type Answer = wasmtime::Result<(Result<(), String>,)>;
type Bytes = WasmList<u8>;

pub(super) fn add_to_linker(gateway: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    gateway.func_wrap("push", |mut cx: Cx<'_>, (conn, route, body): (u64, i32, Bytes)| push(&mut cx, at(conn), route, &body))?;
    gateway.func_wrap("push-uid", |mut cx: Cx<'_>, (uid, route, body): (i64, i32, Bytes)| push(&mut cx, of(uid), route, &body))?;
    gateway
        .func_wrap("multicast", |mut cx: Cx<'_>, (to, route, body): (Bytes, i32, Bytes)| multicast(&mut cx, &to, false, route, &body))?;
    gateway.func_wrap("multicast-uids", |mut cx: Cx<'_>, (to, route, body): (Bytes, i32, Bytes)| {
        multicast(&mut cx, &to, true, route, &body)
    })?;
    gateway.func_wrap("broadcast", |mut cx: Cx<'_>, (bound_only, route, body): (u32, i32, Bytes)| {
        let (bound_only, route) = (bound_only != 0, Route(route));
        keep(&mut cx, |cx, kept| kept.put(cx, Action::Broadcast { bound_only, route, body: body.as_le_slice(cx) }))
    })?;
    gateway.func_wrap("publish", |mut cx: Cx<'_>, (channel, route, body): (WasmStr, i32, Bytes)| {
        let channel = channel.to_str(&cx)?.into_owned();
        keep(&mut cx, |cx, kept| kept.put(cx, Action::Publish { channel: &channel, route: Route(route), body: body.as_le_slice(cx) }))
    })?;
    gateway.func_wrap("subscribe", |mut cx: Cx<'_>, (conn, channel): (u64, WasmStr)| {
        let channel = channel.to_str(&cx)?.into_owned();
        keep(&mut cx, |cx, kept| kept.put(cx, Action::Subscribe(at(conn), &channel)))
    })?;
    gateway.func_wrap("unsubscribe", |mut cx: Cx<'_>, (conn, channel): (u64, WasmStr)| {
        let channel = channel.to_str(&cx)?.into_owned();
        keep(&mut cx, |cx, kept| kept.put(cx, Action::Unsubscribe(at(conn), &channel)))
    })?;
    gateway.func_wrap("bind", |mut cx: Cx<'_>, (conn, uid): (u64, i64)| {
        keep(&mut cx, |cx, kept| kept.put(cx, Action::Bind(ConnId(conn), Uid(uid))))
    })?;
    gateway.func_wrap("unbind", |mut cx: Cx<'_>, (conn,): (u64,)| keep(&mut cx, |cx, kept| kept.put(cx, Action::Unbind(at(conn)))))?;
    gateway.func_wrap("kick", |mut cx: Cx<'_>, (conn, code, text): (u64, u32, WasmStr)| kick(&mut cx, at(conn), code, &text))?;
    gateway.func_wrap("error-code", |mut cx: Cx<'_>, (code,): (u32,)| {
        let answer = match u16::try_from(code) {
            Ok(code @ 1..) => {
                cx.data_mut().error_code = ErrorCode(code);
                Ok(())
            }
            _ => Err(format!("{code} is not an error code; allowed: 1 to 65,535")),
        };
        wasmtime::Result::Ok((answer,))
    })?;
    gateway.func_wrap("kick-uid", |mut cx: Cx<'_>, (uid, code, text): (i64, u32, WasmStr)| kick(&mut cx, of(uid), code, &text))
}

const fn at(conn: u64) -> Target {
    Target::Conn(ConnId(conn))
}

const fn of(uid: i64) -> Target {
    Target::Uid(Uid(uid))
}

fn push(cx: &mut Cx<'_>, to: Target, route: i32, body: &Bytes) -> Answer {
    keep(cx, |cx, kept| kept.put(cx, Action::Push { to, route: Route(route), body: body.as_le_slice(cx) }))
}

fn multicast(cx: &mut Cx<'_>, to: &Bytes, uids: bool, route: i32, body: &Bytes) -> Answer {
    keep(cx, |cx, kept| {
        let ids = to.as_le_slice(cx);
        if !ids.len().is_multiple_of(8) {
            return Err(format!("a list of targets has 8 bytes for each, this one has {}", ids.len()));
        }
        kept.put(cx, Action::Multicast { to: Targets::new(ids, uids), route: Route(route), body: body.as_le_slice(cx) })
    })
}

fn kick(cx: &mut Cx<'_>, who: Target, code: u32, text: &WasmStr) -> Answer {
    let text = text.to_str(&*cx)?.into_owned();
    keep(cx, |cx, kept| {
        let code = match u16::try_from(code) {
            Ok(0) => ErrorCode::KICKED,
            Ok(code) => ErrorCode(code),
            Err(_) => return Err(format!("{code} is not an error code; allowed: 0 to 65,535")),
        };
        kept.put(cx, Action::Kick { who, code, text: &text, at_once: false })
    })
}

/// The effects that wait for the end of the call.
struct Kept {
    list: Vec<u8>,
    begin: usize,
    count: usize,
    reached: Reached,
    request: usize,
}

impl Kept {
    /// Adds one. Its record is read back, so that the guest learns at once what is wrong with it.
    fn put(&mut self, cx: &Cx<'_>, action: Action<'_>) -> Result<(), String> {
        let directory = &*cx.data().context.directory;
        let receivers = self.reached.at_most(directory, &action);
        if receivers > 0 && !self.reached.has_room(&self.list, directory) {
            return Err(format!("the effects of a request may go to {RECEIVERS_MAX} receivers in all"));
        }
        let before = self.list.len();
        put_effect(&mut self.list, &EffectRecord { request: self.request, action });
        if self.count >= EFFECTS_MAX || self.list.len() - self.begin > EFFECT_BYTES_MAX {
            self.list.truncate(before);
            return Err(format!("a request may make {EFFECTS_MAX} effects, and {EFFECT_BYTES_MAX} bytes of them"));
        }
        if let Some(Err(error)) = EffectIter::new(self.list.get(before..).unwrap_or_default()).next() {
            self.list.truncate(before);
            return Err(match error {
                EffectError::Wrong { part, .. } => format!("wrong {part}: a channel's name has 1 to 255 bytes, a uid is above 0"),
                other => other.to_string(),
            });
        }
        self.count += 1;
        self.reached.add(receivers);
        Ok(())
    }
}

/// Lets `put` add an effect. What is kept is taken out of the store meanwhile, because `put` borrows the whole store to read the body in
/// place.
fn keep(cx: &mut Cx<'_>, put: impl FnOnce(&Cx<'_>, &mut Kept) -> Result<(), String>) -> Answer {
    let state = cx.data_mut();
    let HostState { effects, effects_begin: begin, effects_count: count, reached, request, .. } = state;
    let mut kept = Kept { list: std::mem::take(effects), begin: *begin, count: *count, reached: *reached, request: *request };
    let answer = put(cx, &mut kept);
    let state = cx.data_mut();
    (state.effects, state.effects_count, state.reached) = (kept.list, kept.count, kept.reached);
    Ok((answer,))
}
