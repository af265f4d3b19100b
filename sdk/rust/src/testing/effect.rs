//! What a handler does besides answering.

use serde::de::DeserializeOwned;

use crate::Target;
use crate::codec::{Decode, Json};
use crate::effects::{FLAG_AT_ONCE, FLAG_UID, HEADER_BYTES, kind};
use crate::requests::field;

/// An effect that is not the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A message is sent.
    Push(Push),
    /// A connection becomes a member of a channel.
    Subscribe {
        /// Whose.
        target: Target,
        /// The channel.
        channel: String,
    },
    /// A membership ends.
    Unsubscribe {
        /// Whose.
        target: Target,
        /// The channel; None if it is all of them.
        channel: Option<String>,
    },
    /// A connection is bound.
    Bind {
        /// The connection.
        conn: u64,
        /// The uid.
        uid: i64,
    },
    /// A connection loses its uid.
    Unbind {
        /// Whose.
        target: Target,
    },
    /// A connection is closed.
    Kick {
        /// Whose.
        target: Target,
        /// The code of the error packet; 0 becomes 12.
        code: u16,
        /// The text of the error packet.
        reason: String,
        /// What waits to be sent is lost.
        at_once: bool,
    },
}

/// A message that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Who gets it.
    pub to: To,
    /// The route.
    pub route: i32,
    /// The body.
    pub body: Vec<u8>,
}

/// Who gets a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// One connection or uid: `push`.
    One(Target),
    /// These: `multicast`.
    Many(Vec<Target>),
    /// Every connection: `broadcast`.
    All,
    /// Every connection that is bound: `broadcast_bound`.
    Bound,
    /// The members of a channel: `publish`.
    Channel(String),
}

impl Push {
    /// The body as json.
    ///
    /// # Panics
    /// If it is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        read_json(&self.body)
    }
}

/// One record of the list of effects.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    flags: u8,
    pub(super) request: u32,
    pub(super) route: i32,
    target: u64,
    pub(super) body: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the first record; also returns what follows it.
    pub(super) fn split(list: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let size = u32::from_le_bytes(field(list, 0)) as usize;
        let header = usize::from(u16::from_le_bytes(field(list, 4)));
        let (whole, rest) = list.split_at_checked(size).filter(|_| header >= HEADER_BYTES)?;
        let ([kind], [flags]) = (field(whole, 6), field(whole, 7));
        let record = Self {
            kind,
            flags,
            request: u32::from_le_bytes(field(whole, 8)),
            route: i32::from_le_bytes(field(whole, 12)),
            target: u64::from_le_bytes(field(whole, 16)),
            body: whole.get(header..)?,
        };
        Some((record, rest))
    }

    /// What it does; None if a host would refuse it, or if it is an answer, which is not read here.
    pub(super) fn effect(&self) -> Option<Effect> {
        let flags = match self.kind {
            kind::PUSH | kind::MULTICAST | kind::SUBSCRIBE | kind::UNSUBSCRIBE | kind::UNBIND => FLAG_UID,
            kind::KICK => FLAG_UID | FLAG_AT_ONCE,
            _ => 0,
        };
        if self.flags & !flags != 0 {
            return None;
        }
        let target = self.one(self.target);
        Some(match self.kind {
            kind::PUSH => self.push(To::One(target), self.body),
            kind::MULTICAST => {
                let (targets, body) = self.body.split_at_checked(usize::try_from(self.target).ok()?.checked_mul(8)?)?;
                let (targets, _) = targets.as_chunks();
                self.push(To::Many(targets.iter().map(|bits| self.one(u64::from_le_bytes(*bits))).collect()), body)
            }
            kind::BROADCAST => self.push([To::All, To::Bound].into_iter().nth(usize::try_from(self.target).ok()?)?, self.body),
            kind::PUBLISH => {
                let (channel, body) = self.body.split_at_checked(usize::try_from(self.target).ok()?)?;
                self.push(To::Channel(name(channel)?), body)
            }
            kind::SUBSCRIBE => Effect::Subscribe { target, channel: name(self.body)? },
            kind::UNSUBSCRIBE if self.body.is_empty() => Effect::Unsubscribe { target, channel: None },
            kind::UNSUBSCRIBE => Effect::Unsubscribe { target, channel: Some(name(self.body)?) },
            kind::BIND => {
                let uid = i64::from_le_bytes(self.body.try_into().ok()?);
                Effect::Bind { conn: self.target, uid: Some(uid).filter(|uid| *uid > 0)? }
            }
            kind::UNBIND if self.body.is_empty() => Effect::Unbind { target },
            kind::KICK => Effect::Kick {
                target,
                code: u16::try_from(self.route).ok()?,
                reason: std::str::from_utf8(self.body).ok()?.to_owned(),
                at_once: self.flags & FLAG_AT_ONCE != 0,
            },
            _ => return None,
        })
    }

    fn push(&self, to: To, body: &[u8]) -> Effect {
        Effect::Push(Push { to, route: self.route, body: body.to_vec() })
    }

    fn one(&self, bits: u64) -> Target {
        if self.flags & FLAG_UID == 0 { Target::Conn(bits) } else { Target::Uid(bits.cast_signed()) }
    }
}

/// The name of a channel; None if it cannot be one.
fn name(bytes: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(bytes).ok().filter(|name| (1..=255).contains(&name.len()))?;
    Some(name.to_owned())
}

/// The body of a message as json.
#[allow(clippy::panic, reason = "a test fails by panicking")]
pub(super) fn read_json<T: DeserializeOwned>(body: &[u8]) -> T {
    let mut bytes = body.to_vec();
    match Json::decode(&mut bytes) {
        Ok(value) => value,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(body)),
    }
}
