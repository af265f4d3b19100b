//! The protobuf codec.

use prost::Message;

use super::{Codec, Decode, Encode, Protobuf};
use crate::{Error, Result};

impl<'a, T: Message + Default> Decode<'a, T> for Protobuf {
    const CODEC: Codec = Codec::Protobuf;

    fn decode(body: &'a mut [u8]) -> Result<T> {
        let bytes: &[u8] = body;
        T::decode(bytes).map_err(Error::bad_request)
    }
}

impl<T: Message> Encode<T> for Protobuf {
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()> {
        Ok(value.encode(out)?)
    }
}
