//! What a message may carry.

use prost::Message;
use serde::Serialize;

use crate::codec::{Bytes, Codec, Encode, Json, Msgpack, Protobuf};
use crate::{Error, Result};

/// A value that can be sent: a reference to a serde value, which is written in the codec of the route or event, [`Raw`] bytes, or a
/// protobuf message in [`Proto`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent",
    note = "send a reference to a value that is `Serialize`, `Raw(&bytes)`, or `Proto(&message)`"
)]
pub trait Body {
    /// Appends the body to `out`.
    ///
    /// # Errors
    /// If it cannot be written in this codec. Then `out` may hold part of it.
    fn write(self, codec: Codec, out: &mut Vec<u8>) -> Result<()>;
}

impl<T: Serialize + ?Sized> Body for &T {
    #[inline]
    fn write(self, codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        match codec {
            Codec::Json => Json::encode(self, out),
            Codec::Msgpack => Msgpack::encode(self, out),
            Codec::Protobuf => Err(Error::handler("the codec here is protobuf: send `Proto(&message)`")),
            Codec::Bytes => Err(Error::handler("the codec here is bytes: send `Raw(&bytes)`")),
        }
    }
}

/// These bytes, whatever the codec: `ctx.push(conn, 8, Raw(b"!"))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a [u8]);

impl Body for Raw<'_> {
    #[inline]
    fn write(self, _codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        Bytes::encode(self.0, out)
    }
}

/// This protobuf message, whatever the codec: `ctx.push(conn, 8, Proto(&score))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proto<'a, M>(pub &'a M);

impl<M: Message> Body for Proto<'_, M> {
    #[inline]
    fn write(self, _codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        Protobuf::encode(self.0, out)
    }
}
