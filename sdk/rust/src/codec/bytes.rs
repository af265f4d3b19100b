//! Bodies as they are.

use super::{Bytes, Codec, Decode, Encode};
use crate::Result;

impl<'a> Decode<'a, &'a [u8]> for Bytes {
    const CODEC: Codec = Codec::Bytes;

    fn decode(body: &'a mut [u8]) -> Result<&'a [u8]> {
        Ok(body)
    }
}

impl<'a> Decode<'a, &'a mut [u8]> for Bytes {
    const CODEC: Codec = Codec::Bytes;

    fn decode(body: &'a mut [u8]) -> Result<&'a mut [u8]> {
        Ok(body)
    }
}

impl<'a> Decode<'a, Vec<u8>> for Bytes {
    const CODEC: Codec = Codec::Bytes;

    fn decode(body: &'a mut [u8]) -> Result<Vec<u8>> {
        Ok(body.to_vec())
    }
}

impl<T: AsRef<[u8]> + ?Sized> Encode<T> for Bytes {
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(value.as_ref());
        Ok(())
    }
}
