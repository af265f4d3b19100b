//! The protobuf codec.

use prost::Message;

use super::{Body, Codec, Decode, Encode, Protobuf, Scratch};
use crate::{Error, Result};

impl<'a, T: Message + Default> Decode<'a, T> for Protobuf {
    const CODEC: Codec = Codec::Protobuf;

    fn decode(body: Body<'a>, _: &mut Scratch) -> Result<T> {
        let bytes: &[u8] = body.into_bytes();
        T::decode(bytes).map_err(Error::bad_request)
    }
}

impl<T: Message> Encode<T> for Protobuf {
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()> {
        Ok(value.encode(out)?)
    }
}
