//! How bodies become values and values become bodies.

mod bytes;
mod json;
mod msgpack;
mod protobuf;

use crate::Result;

/// What a body is written in. `#[route(1, codec = "...")]` chooses it; json is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// `"json"`: serde types; strings are borrowed from the body where they have no escapes.
    Json,
    /// `"msgpack"`: serde types; structs are written as maps with field names.
    Msgpack,
    /// `"protobuf"`: [`prost::Message`] types.
    Protobuf,
    /// `"bytes"`: the body as it is.
    Bytes,
}

/// Marker of the json codec.
#[derive(Debug)]
pub enum Json {}
/// Marker of the msgpack codec.
#[derive(Debug)]
pub enum Msgpack {}
/// Marker of the protobuf codec.
#[derive(Debug)]
pub enum Protobuf {}
/// Marker of the bytes codec.
#[derive(Debug)]
pub enum Bytes {}

/// A codec that reads a `T` out of a body, which it may change while reading; the value may borrow from it.
pub trait Decode<'a, T> {
    /// The codec.
    const CODEC: Codec;

    /// Reads the value.
    ///
    /// # Errors
    /// With code 2 (`bad_request`) if the body is not a `T`.
    fn decode(body: &'a mut [u8]) -> Result<T>;
}

/// A codec that writes a `T` as a body.
pub trait Encode<T: ?Sized> {
    /// Appends the value to `out`.
    ///
    /// # Errors
    /// If the value cannot be written in this codec. Then `out` may hold part of it.
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()>;
}
