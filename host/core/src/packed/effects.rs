//! Effect records: what a handler returns. Nothing in them is trusted.

use super::field::{u16_at, u32_at, u64_at};
use super::kinds::EffectKind;
use crate::effect::{Action, Target, Targets};
use crate::{ConnId, ErrorCode, Route, Uid};

const HEADER: usize = 24;
/// Flag: the targets are uids.
const UIDS: u8 = 1;
/// Flag of a kick: at once.
const AT_ONCE: u8 = 2;
/// Longest name of a channel.
const CHANNEL_BYTES_MAX: usize = 255;

/// An effect as a plugin wrote it: not yet tied to the request it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectRecord<'a> {
    /// Index of the request it belongs to.
    pub request: usize,
    /// What is to happen.
    pub action: Action<'a>,
}

/// Why a list of effects was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EffectError {
    /// A record is longer than the list, or shorter than its header.
    #[error("effect record at byte {at} of the returned list does not fit: size {size}, header {header}")]
    Misfit {
        /// Where the record begins.
        at: usize,
        /// The size it claims.
        size: usize,
        /// The header it claims.
        header: usize,
    },
    /// The host does not know this kind.
    #[error("effect record at byte {at} has the unknown kind {kind}")]
    UnknownKind {
        /// Where the record begins.
        at: usize,
        /// The kind.
        kind: u8,
    },
    /// A record carries a number that is not an error code.
    #[error("effect record at byte {at} has error code {code}; allowed: 1 to 65,535 (0 in a kick)")]
    BadCode {
        /// Where the record begins.
        at: usize,
        /// The code.
        code: i32,
    },
    /// Something the kind needs is missing or out of range, or something it does not use is not 0.
    #[error("effect record at byte {at} of kind {kind} has wrong {part}; `wit/packed.md` says what it takes")]
    Wrong {
        /// Where the record begins.
        at: usize,
        /// The kind.
        kind: u8,
        /// What is wrong, as `wit/packed.md` calls it.
        part: &'static str,
    },
}

/// Walks over effect records that a plugin wrote. Ends after the first error, and with a record that leaves the rest of the requests.
#[derive(Debug)]
pub struct EffectIter<'a> {
    list: &'a [u8],
    at: usize,
    rest: Option<usize>,
}

impl<'a> EffectIter<'a> {
    /// Walks over the list a plugin returned.
    pub const fn new(list: &'a [u8]) -> Self {
        Self { list, at: 0, rest: None }
    }

    /// How many bytes of the list were visited.
    #[inline]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// The index of the first request that was left for the next call; `None` if the list, as far as it was visited, leaves none.
    pub const fn rest(&self) -> Option<usize> {
        self.rest
    }

    #[inline]
    fn read(&mut self) -> Result<Option<EffectRecord<'a>>, EffectError> {
        let at = self.at;
        let rest = self.list.get(at..).unwrap_or_default();
        let size = u32_at(rest, 0).unwrap_or(0) as usize;
        let header = u16_at(rest, 4).map_or(0, usize::from);
        let misfit = EffectError::Misfit { at, size, header };
        if header < HEADER || size < header {
            return Err(misfit);
        }
        let record = rest.get(..size).ok_or(misfit)?;
        let raw = match (record.get(6), record.get(7), u32_at(record, 8), u32_at(record, 12), u64_at(record, 16), record.get(header..)) {
            (Some(&kind), Some(&flags), Some(request), Some(route), Some(target), Some(body)) => {
                let kind = EffectKind::of(kind).ok_or(EffectError::UnknownKind { at, kind })?;
                Raw { at, kind, flags, request: request as usize, route: route.cast_signed(), target, body }
            }
            _ => return Err(misfit),
        };
        self.at = at + size;
        let action = raw.action()?;
        if action.is_none() {
            // Nothing may follow: it would be about requests that were not handled, or should have come before.
            if self.at < self.list.len() {
                return Err(raw.wrong("place in the list"));
            }
            self.rest = Some(raw.request);
        }
        Ok(action.map(|action| EffectRecord { request: raw.request, action }))
    }
}

/// The fields of a record.
struct Raw<'a> {
    at: usize,
    kind: EffectKind,
    flags: u8,
    request: usize,
    route: i32,
    target: u64,
    body: &'a [u8],
}

impl<'a> Raw<'a> {
    /// What it does; `None` if it leaves the rest of the requests.
    #[inline]
    fn action(&self) -> Result<Option<Action<'a>>, EffectError> {
        self.check_unused()?;
        let (route, body) = (Route(self.route), self.body);
        let uids = self.flags & UIDS != 0;
        let one = Target::new(self.target, uids);
        Ok(Some(match self.kind {
            EffectKind::Reply => Action::Reply(body),
            EffectKind::Error => Action::Error(self.code(self.route)?, self.text(body)?),
            EffectKind::Push => Action::Push { to: one, route, body },
            EffectKind::Multicast => {
                let (ids, body) = self.split(self.target.checked_mul(8), "number of targets")?;
                Action::Multicast { to: Targets::new(ids, uids), route, body }
            }
            EffectKind::Broadcast if self.target <= 1 => Action::Broadcast { bound_only: self.target == 1, route, body },
            EffectKind::Broadcast => return Err(self.wrong("target")),
            EffectKind::Publish => {
                let (channel, body) = self.split(Some(self.target), "channel")?;
                Action::Publish { channel: self.channel(channel, false)?, route, body }
            }
            EffectKind::Subscribe => Action::Subscribe(one, self.channel(body, false)?),
            EffectKind::Unsubscribe => Action::Unsubscribe(one, self.channel(body, true)?),
            EffectKind::Bind => {
                let uid = u64_at(body, 0).filter(|_| body.len() == 8).map(u64::cast_signed).filter(|uid| *uid > 0);
                Action::Bind(ConnId(self.target), Uid(uid.ok_or_else(|| self.wrong("uid"))?))
            }
            EffectKind::Unbind if body.is_empty() => Action::Unbind(one),
            EffectKind::Rest if body.is_empty() => return Ok(None),
            EffectKind::Unbind | EffectKind::Rest => return Err(self.wrong("body")),
            EffectKind::Kick => {
                let code = if self.route == 0 { ErrorCode::KICKED } else { self.code(self.route)? };
                Action::Kick { who: one, code, text: self.text(body)?, at_once: self.flags & AT_ONCE != 0 }
            }
        }))
    }

    /// Fields and flags that a kind does not use have to be 0, so that a later version can give them a meaning.
    #[inline]
    fn check_unused(&self) -> Result<(), EffectError> {
        let (flags, uses_route, uses_target) = match self.kind {
            EffectKind::Reply | EffectKind::Rest => (0, false, false),
            EffectKind::Error => (0, true, false),
            EffectKind::Push | EffectKind::Multicast => (UIDS, true, true),
            EffectKind::Broadcast | EffectKind::Publish => (0, true, true),
            EffectKind::Subscribe | EffectKind::Unsubscribe | EffectKind::Unbind => (UIDS, false, true),
            EffectKind::Bind => (0, false, true),
            EffectKind::Kick => (UIDS | AT_ONCE, true, true),
        };
        if self.flags & !flags != 0 {
            return Err(self.wrong("flags"));
        }
        if !uses_route && self.route != 0 {
            return Err(self.wrong("route"));
        }
        if !uses_target && self.target != 0 {
            return Err(self.wrong("target"));
        }
        Ok(())
    }

    fn wrong(&self, part: &'static str) -> EffectError {
        EffectError::Wrong { at: self.at, kind: self.kind as u8, part }
    }

    fn split(&self, at: Option<u64>, part: &'static str) -> Result<(&'a [u8], &'a [u8]), EffectError> {
        let at = at.and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.body.split_at_checked(at)).ok_or_else(|| self.wrong(part))
    }

    fn channel(&self, name: &'a [u8], may_be_empty: bool) -> Result<&'a str, EffectError> {
        let fits = name.len() <= CHANNEL_BYTES_MAX && (may_be_empty || !name.is_empty());
        std::str::from_utf8(name).ok().filter(|_| fits).ok_or_else(|| self.wrong("channel"))
    }

    fn code(&self, code: i32) -> Result<ErrorCode, EffectError> {
        match u16::try_from(code) {
            Ok(code @ 1..) => Ok(ErrorCode(code)),
            _ => Err(EffectError::BadCode { at: self.at, code }),
        }
    }

    fn text(&self, text: &'a [u8]) -> Result<&'a str, EffectError> {
        std::str::from_utf8(text).map_err(|_| self.wrong("text"))
    }
}

impl<'a> Iterator for EffectIter<'a> {
    type Item = Result<EffectRecord<'a>, EffectError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.list.len() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.at = self.list.len();
        }
        read.transpose()
    }
}

/// Appends an effect record: for effects that the host collects itself, from imports and from plain handlers.
pub fn put_effect(list: &mut Vec<u8>, effect: &EffectRecord<'_>) {
    let id = |target: Target| match target {
        Target::Conn(conn) => (conn.0, 0),
        Target::Uid(uid) => (uid.0.cast_unsigned(), UIDS),
    };
    let uid_bytes;
    let (kind, flags, route, target, before, body): (EffectKind, u8, i32, u64, &[u8], &[u8]) = match effect.action {
        Action::Reply(body) => (EffectKind::Reply, 0, 0, 0, &[], body),
        Action::Error(code, text) => (EffectKind::Error, 0, i32::from(code.0), 0, &[], text.as_bytes()),
        Action::Push { to, route, body } => {
            let (target, flags) = id(to);
            (EffectKind::Push, flags, route.0, target, &[], body)
        }
        Action::Multicast { to, route, body } => {
            let (ids, uids) = to.parts();
            (EffectKind::Multicast, u8::from(uids), route.0, (ids.len() / 8) as u64, ids, body)
        }
        Action::Broadcast { bound_only, route, body } => (EffectKind::Broadcast, 0, route.0, u64::from(bound_only), &[], body),
        Action::Publish { channel, route, body } => (EffectKind::Publish, 0, route.0, channel.len() as u64, channel.as_bytes(), body),
        Action::Subscribe(who, channel) => {
            let (target, flags) = id(who);
            (EffectKind::Subscribe, flags, 0, target, &[], channel.as_bytes())
        }
        Action::Unsubscribe(who, channel) => {
            let (target, flags) = id(who);
            (EffectKind::Unsubscribe, flags, 0, target, &[], channel.as_bytes())
        }
        Action::Bind(conn, uid) => {
            uid_bytes = uid.0.to_le_bytes();
            (EffectKind::Bind, 0, 0, conn.0, &[], &uid_bytes)
        }
        Action::Unbind(who) => {
            let (target, flags) = id(who);
            (EffectKind::Unbind, flags, 0, target, &[], &[])
        }
        Action::Kick { who, code, text, at_once } => {
            let (target, flags) = id(who);
            let code = if code == ErrorCode::KICKED { 0 } else { i32::from(code.0) };
            (EffectKind::Kick, flags | if at_once { AT_ONCE } else { 0 }, code, target, &[], text.as_bytes())
        }
    };
    let size = HEADER + before.len() + body.len();
    put_header(list, size, (kind, flags), effect.request, route, target);
    list.extend_from_slice(before);
    list.extend_from_slice(body);
}

/// Appends the record that leaves the requests from this index on for the next call.
pub fn put_rest(list: &mut Vec<u8>, request: usize) {
    put_header(list, HEADER, (EffectKind::Rest, 0), request, 0, 0);
}

fn put_header(list: &mut Vec<u8>, size: usize, (kind, flags): (EffectKind, u8), request: usize, route: i32, target: u64) {
    list.extend_from_slice(&(size as u32).to_le_bytes());
    list.extend_from_slice(&(HEADER as u16).to_le_bytes());
    list.extend_from_slice(&[kind as u8, flags]);
    list.extend_from_slice(&(request as u32).to_le_bytes());
    list.extend_from_slice(&route.to_le_bytes());
    list.extend_from_slice(&target.to_le_bytes());
}
