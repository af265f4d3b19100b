//! How bodies become values and values become bodies.

mod bytes;
mod json;
mod msgpack;
mod protobuf;

use simd_json::{Buffers, Node, Tape};

use crate::Result;

/// What a body is written in. `#[route(1, codec = "...")]` chooses it; json is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// `"json"`: serde types, parsed in place with SIMD.
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
    fn decode(body: Body<'a>, scratch: &mut Scratch) -> Result<T>;
}

/// A codec that writes a `T` as a body.
pub trait Encode<T: ?Sized> {
    /// Writes the value behind what `out` holds.
    ///
    /// # Errors
    /// If the value cannot be written in this codec. Then `out` holds a part of it.
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()>;
}

/// The body of a request, in place in the batch it came in.
#[derive(Debug)]
pub struct Body<'a> {
    /// The body and, behind it, what else the batch holds: the json parser reads (never uses) some bytes too many.
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> Body<'a> {
    /// The first `len` bytes of `bytes`. What is behind them is left as it is.
    pub fn new(bytes: &'a mut [u8], len: usize) -> Self {
        let len = len.min(bytes.len());
        Self { bytes, len }
    }

    /// The body alone.
    pub fn into_bytes(self) -> &'a mut [u8] {
        self.bytes.split_at_mut(self.len).0
    }
}

/// Memory the decoders use again and again.
pub struct Scratch {
    buffers: Buffers,
    tape: Vec<Node<'static>>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { buffers: Buffers::new(4096), tape: Vec::new() }
    }
}

impl Scratch {
    /// The parser's buffers, and its tape, which has to come back through [`Scratch::keep`].
    fn parts<'de>(&mut self) -> (&mut Buffers, Tape<'de>) {
        (&mut self.buffers, Tape(std::mem::take(&mut self.tape)).reset())
    }

    fn keep(&mut self, tape: Tape<'_>) {
        self.tape = tape.reset().0;
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}
