//! Reading: the deserializer.
//!
//! It answers every question of a visitor as `serde_json` does, or gives up. Once it has given up nothing can be read from it: a type that
//! swallows an error does not get a value that `serde_json` would not have given it.
//!
//! Values inside of values are read by way of serde: what reads a list or a variant only asks for something that can be deserialized.

mod items;
mod key;
mod number;
mod reader;
mod string;
mod variant;

use serde::de::{Deserializer, IgnoredAny, Visitor};

use crate::doubt::{Doubt, OWN_NAMES, Result};
use items::Items;
use variant::{Unit, Variant};

pub(crate) use reader::Reader;

impl<'de> Reader<'de> {
    #[inline(always)]
    fn visit_list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.nested(b']', |reader| visitor.visit_seq(Items::of(reader)))
    }

    #[inline(always)]
    fn visit_object<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.nested(b'}', |reader| visitor.visit_map(Items::of(reader)))
    }

    #[inline(always)]
    fn visit_bool<V: Visitor<'de>>(&mut self, first: u8, visitor: V) -> Result<V::Value> {
        if first == b't' {
            self.word(b"true")?;
            visitor.visit_bool(true)
        } else {
            self.word(b"false")?;
            visitor.visit_bool(false)
        }
    }
}

macro_rules! deserialize_numbers {
    ($($method:ident)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.peek() {
                b'-' | b'0'..=b'9' => self.visit_number(visitor),
                _ => self.give_up(),
            }
        })*
    };
}

/// What `serde_json` reads in more than one way is left to it.
macro_rules! deserialize_doubtful {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
            self.give_up()
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Doubt;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            b'"' => {
                self.take();
                self.visit_string(visitor)
            }
            b'{' => self.visit_object(visitor),
            b'[' => self.visit_list(visitor),
            b'-' | b'0'..=b'9' => self.visit_any_number(visitor),
            first @ (b't' | b'f') => self.visit_bool(first, visitor),
            _ => {
                self.word(b"null")?;
                visitor.visit_unit()
            }
        }
    }

    deserialize_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64
    }

    deserialize_doubtful! { deserialize_i128 deserialize_u128 deserialize_bytes deserialize_byte_buf }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let first = self.peek();
        self.visit_bool(first, visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.expect(b'"')?;
        self.visit_string(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek() != b'n' {
            return visitor.visit_some(self);
        }
        self.word(b"null")?;
        visitor.visit_none()
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.peek();
        self.word(b"null")?;
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if name.starts_with(OWN_NAMES) {
            return self.give_up();
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            b'[' => self.visit_list(visitor),
            _ => self.give_up(),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            b'{' => self.visit_object(visitor),
            _ => self.give_up(),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        match self.peek() {
            b'{' => self.visit_object(visitor),
            b'[' => self.visit_list(visitor),
            _ => self.give_up(),
        }
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        match self.peek() {
            b'"' => visitor.visit_enum(Unit(self)),
            b'{' => self.nested(b'}', |reader| visitor.visit_enum(Variant(reader))),
            _ => self.give_up(),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_any(IgnoredAny)?;
        visitor.visit_unit()
    }
}
