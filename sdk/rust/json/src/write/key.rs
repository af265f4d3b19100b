//! The key of an object.

use serde::ser::{Impossible, Serialize, Serializer};

use super::writer::Writer;
use crate::doubt::{Doubt, Result};

/// Writes text and integers; other keys are left to `serde_json`, or refused by it.
#[derive(Debug)]
pub(super) struct Key<'b, 'a> {
    writer: &'b mut Writer<'a>,
}

impl<'b, 'a> Key<'b, 'a> {
    #[inline(always)]
    pub(super) fn of(writer: &'b mut Writer<'a>) -> Self {
        Self { writer }
    }
}

macro_rules! serialize_integers {
    ($($method:ident: $integer:ty)*) => {
        $(#[inline]
        fn $method(self, number: $integer) -> Result<()> {
            self.writer.out.push(b'"');
            self.writer.integer(number)?;
            self.writer.out.push(b'"');
            Ok(())
        })*
    };
}

macro_rules! serialize_doubtful {
    ($($method:ident($($argument:ty),*) -> $result:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$result> {
            self.writer.give_up()
        })*
    };
}

impl Serializer for Key<'_, '_> {
    type Ok = ();
    type Error = Doubt;
    type SerializeSeq = Impossible<(), Doubt>;
    type SerializeTuple = Impossible<(), Doubt>;
    type SerializeTupleStruct = Impossible<(), Doubt>;
    type SerializeTupleVariant = Impossible<(), Doubt>;
    type SerializeMap = Impossible<(), Doubt>;
    type SerializeStruct = Impossible<(), Doubt>;
    type SerializeStructVariant = Impossible<(), Doubt>;

    #[inline]
    fn serialize_str(self, text: &str) -> Result<()> {
        self.writer.string(text);
        Ok(())
    }

    serialize_integers! {
        serialize_i8: i8 serialize_i16: i16 serialize_i32: i32 serialize_i64: i64
        serialize_u8: u8 serialize_u16: u16 serialize_u32: u32 serialize_u64: u64
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<()> {
        self.writer.give_up()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, _: &'static str, _: &T) -> Result<()> {
        self.writer.give_up()
    }

    serialize_doubtful! {
        serialize_i128(i128) -> ();
        serialize_u128(u128) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_bool(bool) -> ();
        serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}
