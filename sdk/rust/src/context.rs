//! What a handler sees of the world: whose message or event it handles, and what it can do about it.

mod connections;
mod messages;

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::codec::{Codec, Decode, Encode};
use crate::effects::{EFFECT_BYTES_MAX, EFFECTS_MAX, Effect, Effects, HEADER_BYTES};
use crate::requests::Head;
use crate::{Body, Error, Result, clock, config, random};

/// The longest name of a channel.
const CHANNEL_BYTES_MAX: usize = 255;

/// The message or event being handled, and the effects of handling it.
///
/// Effects are applied in their order when the call returns. If the handler returns an error, its effects are taken back and the client
/// gets the error (that of an event becomes a log line); after a trap nothing of the whole call is applied.
///
/// A target that no longer exists is skipped: sending to a connection that has ended, or to a uid that is offline, is not an error. A
/// request makes at most 4,096 effects besides its answer, with at most 4 MiB as records, and its answer has at most as much: beyond that
/// every method that makes one fails, and what was made before stays.
#[derive(Debug)]
pub struct Ctx {
    effects: Effects,
    request: u32,
    conn: u64,
    uid: i64,
    route: i32,
    seq: i32,
    codec: Codec,
    answer: Answer,
    /// Effects of the request besides its answer, and their bytes.
    made: usize,
    made_bytes: usize,
}

/// Whether the request can still be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Open,
    Given,
    /// It is an event.
    Never,
}

/// Who sent the message, or whose event it is.
impl Ctx {
    /// The connection; below 2^53, not reused while the gate lives.
    pub fn conn(&self) -> u64 {
        self.conn
    }

    /// The account the connection was bound to when the message came, or the event happened. A bind or unbind by this handler changes
    /// nothing here.
    pub fn uid(&self) -> Option<i64> {
        (self.uid != 0).then_some(self.uid)
    }

    /// The route, as the client sent it; without meaning in an event.
    pub fn route(&self) -> i32 {
        self.route
    }

    /// The sequence number, as the client sent it; 0 in an event. The reply carries it back.
    pub fn seq(&self) -> i32 {
        self.seq
    }
}

/// What the host knows. The same is in the modules [`config`], [`clock`] and [`random`], for functions without a context.
impl Ctx {
    /// The value at a key of the plugin's configuration; dots go into tables (`shop.prices`).
    ///
    /// # Errors
    /// If there is none, or it is not a `T`.
    pub fn config<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        config::get(key)
    }

    /// Time since 1970-01-01 UTC, in whole milliseconds.
    pub fn now(&self) -> Duration {
        clock::now()
    }

    /// Time since an arbitrary moment, in whole microseconds; never goes back.
    pub fn monotonic(&self) -> Duration {
        clock::monotonic()
    }

    /// A random number, all 32 bits.
    pub fn random(&self) -> u32 {
        random::number()
    }

    /// A random number below `limit`, all equally likely; 0 if `limit` is 0.
    pub fn random_below(&self, limit: u32) -> u32 {
        random::below(limit)
    }

    /// Random bytes.
    pub fn random_bytes(&self, count: usize) -> Vec<u8> {
        random::bytes(count)
    }
}

/// What a batch does with its context.
impl Ctx {
    pub(crate) fn open(out: Vec<u8>) -> Self {
        Self {
            effects: Effects::from_bytes(out),
            request: 0,
            conn: 0,
            uid: 0,
            route: 0,
            seq: 0,
            codec: Codec::Json,
            answer: Answer::Open,
            made: 0,
            made_bytes: 0,
        }
    }

    pub(crate) fn close(self) -> Vec<u8> {
        self.effects.into_bytes()
    }

    pub(crate) fn begin(&mut self, request: u32, head: &Head) {
        self.request = request;
        self.conn = head.conn;
        self.uid = head.uid;
        self.route = head.route;
        self.seq = head.seq;
        self.codec = Codec::Json;
        self.answer = Answer::Open;
        (self.made, self.made_bytes) = (0, 0);
    }

    /// The same for an event, which nobody waits for.
    pub(crate) fn begin_event(&mut self, request: u32, head: &Head) {
        self.begin(request, head);
        self.answer = Answer::Never;
    }

    pub(crate) fn effects(&mut self) -> &mut Effects {
        &mut self.effects
    }

    /// Leaves the requests from this one on for the next call.
    #[cold]
    pub(crate) fn leave(&mut self, request: u32) {
        // Cannot fail: it has no body.
        let _ = self.effects.append(request, HEADER_BYTES, |_| Ok(Effect::REST));
    }

    pub(crate) fn fail(&mut self, error: &Error) {
        let message = error.message();
        let message = message.get(..message.floor_char_boundary(EFFECT_BYTES_MAX - HEADER_BYTES)).unwrap_or_default();
        // Cannot fail: it was cut to what a record may have.
        let _ = self.effects.append(self.request, EFFECT_BYTES_MAX, |out| {
            out.extend_from_slice(message.as_bytes());
            Ok(Effect::error(error.code()))
        });
        self.answer = Answer::Given;
    }

    #[inline]
    fn reply_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        if self.answer != Answer::Open {
            return Err(self.unanswerable());
        }
        self.effects.append(self.request, EFFECT_BYTES_MAX, |out| write(out).map(|()| Effect::REPLY))?;
        self.answer = Answer::Given;
        Ok(())
    }

    #[cold]
    fn unanswerable(&self) -> Error {
        Error::handler(if self.answer == Answer::Never { "an event has no answer" } else { "the message is answered twice" })
    }

    /// Appends any other effect; its body is `prefix` and then `body`.
    #[inline]
    fn act(&mut self, effect: Effect, prefix: &[u8], body: impl Body) -> Result<()> {
        self.make(|codec, out| {
            out.extend_from_slice(prefix);
            body.write(codec, out).map(|()| effect)
        })
    }

    /// Appends what `write` makes, which is not an answer.
    #[inline]
    fn make(&mut self, write: impl FnOnce(Codec, &mut Vec<u8>) -> Result<Effect>) -> Result<()> {
        if self.made >= EFFECTS_MAX {
            return Err(too_many());
        }
        let (codec, mark) = (self.codec, self.effects.mark());
        self.effects.append(self.request, EFFECT_BYTES_MAX - self.made_bytes, |out| write(codec, out))?;
        (self.made, self.made_bytes) = (self.made + 1, self.made_bytes + self.effects.mark() - mark);
        Ok(())
    }
}

/// For generated code only.
#[doc(hidden)]
impl Ctx {
    /// Sets the codec of the route or event that is handled.
    #[inline]
    pub fn __enter(&mut self, codec: Codec) {
        self.codec = codec;
    }

    #[inline]
    pub fn __decode<'a, C: Decode<'a, T>, T>(&mut self, body: &'a mut [u8]) -> Result<T> {
        C::decode(body)
    }

    #[inline]
    pub fn __reply<C: Encode<T>, T>(&mut self, value: &T) -> Result<()> {
        self.reply_with(|out| C::encode(value, out))
    }

    /// The list of effects as it is; for tests that break it on purpose.
    pub fn __raw_effects(&mut self) -> &mut Vec<u8> {
        self.effects.bytes_mut()
    }
}

#[cold]
fn too_many() -> Error {
    Error::handler(format!("a request makes at most {EFFECTS_MAX} effects"))
}

/// The name of a channel, if the host would accept it.
fn channel_name(channel: &str) -> Result<&str> {
    match channel.len() {
        1..=CHANNEL_BYTES_MAX => Ok(channel),
        bytes => Err(Error::handler(format!("the name of a channel has 1 to {CHANNEL_BYTES_MAX} bytes, not {bytes}"))),
    }
}
