//! What a handler sees of the world: who sent the message, and what it can do about it.

use std::time::Duration;

use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{Bytes, Codec, Decode, Encode, Json, Msgpack, Protobuf};
use crate::effects::{Effect, Effects};
use crate::requests::Head;
use crate::{Error, Result, clock, config, random};

/// The message that is handled, and the effects of handling it.
///
/// Effects are applied when the call returns. If the handler returns an error, its effects are taken back and the client gets the
/// error; after a trap nothing of the whole call is applied.
#[derive(Debug)]
pub struct Ctx {
    effects: Effects,
    request: u32,
    conn: u64,
    uid: i64,
    route: i32,
    seq: i32,
    codec: Codec,
    answered: bool,
}

/// Who sent the message.
impl Ctx {
    /// The connection; below 2^53, not reused while the gate lives.
    pub fn conn(&self) -> u64 {
        self.conn
    }

    /// The account the connection is bound to, if it is bound.
    pub fn uid(&self) -> Option<i64> {
        (self.uid != 0).then_some(self.uid)
    }

    /// The route, as the client sent it.
    pub fn route(&self) -> i32 {
        self.route
    }

    /// The sequence number, as the client sent it. The reply carries it back.
    pub fn seq(&self) -> i32 {
        self.seq
    }
}

/// Effects.
impl Ctx {
    /// Answers the message before the handler returns, in the route's codec. For handlers that return `Result<()>`.
    ///
    /// # Errors
    /// If the message was answered already, the value cannot be encoded, or the route's codec is `protobuf` or `bytes`: use
    /// [`Ctx::reply_protobuf`] or [`Ctx::reply_bytes`].
    pub fn reply<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        match self.codec {
            Codec::Json => self.reply_as::<Json, T>(value),
            Codec::Msgpack => self.reply_as::<Msgpack, T>(value),
            Codec::Protobuf => Err(Error::handler("this route's codec is protobuf: use reply_protobuf")),
            Codec::Bytes => Err(Error::handler("this route's codec is bytes: use reply_bytes")),
        }
    }

    /// Answers the message with a protobuf message.
    ///
    /// # Errors
    /// If the message was answered already.
    pub fn reply_protobuf<T: Message>(&mut self, value: &T) -> Result<()> {
        self.reply_as::<Protobuf, T>(value)
    }

    /// Answers the message with these bytes.
    ///
    /// # Errors
    /// If the message was answered already.
    pub fn reply_bytes(&mut self, body: &[u8]) -> Result<()> {
        self.reply_as::<Bytes, [u8]>(body)
    }

    /// Sends a message with seq 0 to a connection, in the codec of the route that is handled. If the connection is gone, nothing
    /// happens.
    ///
    /// # Errors
    /// If the value cannot be encoded, or the route's codec is `protobuf` or `bytes`: use [`Ctx::push_protobuf`] or
    /// [`Ctx::push_bytes`].
    pub fn push<T: Serialize + ?Sized>(&mut self, conn: u64, route: i32, value: &T) -> Result<()> {
        match self.codec {
            Codec::Json => self.push_as::<Json, T>(conn, route, value),
            Codec::Msgpack => self.push_as::<Msgpack, T>(conn, route, value),
            Codec::Protobuf => Err(Error::handler("this route's codec is protobuf: use push_protobuf")),
            Codec::Bytes => Err(Error::handler("this route's codec is bytes: use push_bytes")),
        }
    }

    /// Sends a protobuf message with seq 0 to a connection.
    ///
    /// # Errors
    /// If the message is larger than 4 GiB.
    pub fn push_protobuf<T: Message>(&mut self, conn: u64, route: i32, value: &T) -> Result<()> {
        self.push_as::<Protobuf, T>(conn, route, value)
    }

    /// Sends these bytes with seq 0 to a connection.
    ///
    /// # Errors
    /// If there are more than 4 GiB of them.
    pub fn push_bytes(&mut self, conn: u64, route: i32, body: &[u8]) -> Result<()> {
        self.push_as::<Bytes, [u8]>(conn, route, body)
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
        Self { effects: Effects::from_bytes(out), request: 0, conn: 0, uid: 0, route: 0, seq: 0, codec: Codec::Json, answered: false }
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
        self.answered = false;
    }

    pub(crate) fn effects(&mut self) -> &mut Effects {
        &mut self.effects
    }

    pub(crate) fn fail(&mut self, error: &Error) {
        let effect = Effect::Error { request: self.request, code: error.code() };
        let message = error.message().as_bytes();
        // Cannot fail: the message is already in memory, far below the 4 GiB a record holds.
        let _ = self.effects.append(effect, |out| {
            out.extend_from_slice(message);
            Ok(())
        });
        self.answered = true;
    }

    #[inline]
    fn reply_as<C: Encode<T>, T: ?Sized>(&mut self, value: &T) -> Result<()> {
        if self.answered {
            return Err(Error::handler("the message is answered twice"));
        }
        self.effects.append(Effect::Reply { request: self.request }, |out| C::encode(value, out))?;
        self.answered = true;
        Ok(())
    }

    #[inline]
    fn push_as<C: Encode<T>, T: ?Sized>(&mut self, conn: u64, route: i32, value: &T) -> Result<()> {
        let effect = Effect::Push { request: self.request, conn, route };
        self.effects.append(effect, |out| C::encode(value, out))
    }
}

/// For generated code only.
#[doc(hidden)]
impl Ctx {
    /// Sets the codec of the route that is handled.
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
        self.reply_as::<C, T>(value)
    }

    /// The list of effects as it is, to break it on purpose.
    pub fn __raw_effects(&mut self) -> &mut Vec<u8> {
        self.effects.bytes_mut()
    }
}
