//! The key of an object.

use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::reader::Reader;
use crate::doubt::{Doubt, OWN_NAMES, Result};

/// A key after its opening quote. What is not text, such as a number in quotes, is left to `serde_json`.
#[derive(Debug)]
pub(super) struct Key<'a, 'de>(pub(super) &'a mut Reader<'de>);

macro_rules! deserialize_doubtful {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
            self.0.give_up()
        })*
    };
}

impl<'de> Deserializer<'de> for Key<'_, 'de> {
    type Error = Doubt;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.0.visit_string(visitor)
    }

    forward_to_deserialize_any! { str string char identifier ignored_any }

    deserialize_doubtful! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_bytes deserialize_byte_buf deserialize_option deserialize_unit deserialize_seq deserialize_map
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value> {
        self.0.give_up()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if name.starts_with(OWN_NAMES) {
            return self.0.give_up();
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value> {
        self.0.give_up()
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, _: V) -> Result<V::Value> {
        self.0.give_up()
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], _: V) -> Result<V::Value> {
        self.0.give_up()
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], _: V) -> Result<V::Value> {
        self.0.give_up()
    }
}
