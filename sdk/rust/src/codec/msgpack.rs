//! The msgpack codec.

use serde::{Deserialize, Serialize};

use super::{Codec, Decode, Encode, Msgpack};
use crate::{Error, Result};

impl<'a, T: Deserialize<'a>> Decode<'a, T> for Msgpack {
    const CODEC: Codec = Codec::Msgpack;

    fn decode(body: &'a mut [u8]) -> Result<T> {
        let bytes: &'a [u8] = body;
        rmp_serde::from_slice(bytes).map_err(Error::bad_request)
    }
}

impl<T: Serialize + ?Sized> Encode<T> for Msgpack {
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()> {
        Ok(rmp_serde::encode::write_named(out, value)?)
    }
}
