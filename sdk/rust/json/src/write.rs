//! Writing: the serializer.

mod key;
mod list;
mod number;
mod string;
mod writer;

use serde::ser::{Serialize, Serializer};

use crate::doubt::{Doubt, OWN_NAMES, Result};
use list::List;

pub(crate) use writer::Writer;

impl<'a> Writer<'a> {
    /// Begins a list in brackets.
    #[inline(always)]
    fn open<'b>(&'b mut self, open: &str, close: &'static str) -> Result<List<'b, 'a>> {
        self.text(open)?;
        Ok(List::of(self, close))
    }

    /// Begins an object whose only field is the variant.
    #[inline(always)]
    fn open_variant<'b>(&'b mut self, name: &str, open: &str, close: &'static str) -> Result<List<'b, 'a>> {
        self.out.push(b'{');
        self.string(name);
        self.open(open, close)
    }
}

macro_rules! serialize_integers {
    ($($method:ident: $integer:ty)*) => {
        $(#[inline]
        fn $method(self, number: $integer) -> Result<()> {
            self.integer(number)
        })*
    };
}

impl<'b, 'a> Serializer for &'b mut Writer<'a> {
    type Ok = ();
    type Error = Doubt;
    type SerializeSeq = List<'b, 'a>;
    type SerializeTuple = List<'b, 'a>;
    type SerializeTupleStruct = List<'b, 'a>;
    type SerializeTupleVariant = List<'b, 'a>;
    type SerializeMap = List<'b, 'a>;
    type SerializeStruct = List<'b, 'a>;
    type SerializeStructVariant = List<'b, 'a>;

    serialize_integers! {
        serialize_i8: i8 serialize_i16: i16 serialize_i32: i32 serialize_i64: i64
        serialize_u8: u8 serialize_u16: u16 serialize_u32: u32 serialize_u64: u64
    }

    fn serialize_i128(self, _: i128) -> Result<()> {
        self.give_up()
    }

    fn serialize_u128(self, _: u128) -> Result<()> {
        self.give_up()
    }

    #[inline]
    fn serialize_f32(self, number: f32) -> Result<()> {
        self.float32(number)
    }

    #[inline]
    fn serialize_f64(self, number: f64) -> Result<()> {
        self.float64(number)
    }

    #[inline]
    fn serialize_bool(self, flag: bool) -> Result<()> {
        self.text(if flag { "true" } else { "false" })
    }

    #[inline]
    fn serialize_char(self, character: char) -> Result<()> {
        self.string(character.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<()> {
        self.string(text);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<()> {
        self.give_up()
    }

    #[inline]
    fn serialize_none(self) -> Result<()> {
        self.text("null")
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<()> {
        self.text("null")
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.text("null")
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.string(variant);
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, variant: &'static str, value: &T) -> Result<()> {
        self.out.push(b'{');
        self.string(variant);
        self.out.push(b':');
        value.serialize(&mut *self)?;
        self.out.push(b'}');
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<List<'b, 'a>> {
        self.open("[", "]")
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<List<'b, 'a>> {
        self.open("[", "]")
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'b, 'a>> {
        self.open("[", "]")
    }

    #[inline]
    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<List<'b, 'a>> {
        self.open_variant(variant, ":[", "]}")
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<List<'b, 'a>> {
        self.open("{", "}")
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<List<'b, 'a>> {
        if name.starts_with(OWN_NAMES) {
            return self.give_up();
        }
        self.open("{", "}")
    }

    #[inline]
    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<List<'b, 'a>> {
        self.open_variant(variant, ":{", "}}")
    }
}
