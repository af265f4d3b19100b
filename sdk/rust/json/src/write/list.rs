//! What is in a list or an object.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant,
};

use super::key::Key;
use super::writer::Writer;
use crate::doubt::{Doubt, Result};

/// A list or an object whose opening bracket has been written.
#[derive(Debug)]
pub(crate) struct List<'b, 'a> {
    writer: &'b mut Writer<'a>,
    close: &'static str,
    first: bool,
}

impl<'b, 'a> List<'b, 'a> {
    #[inline(always)]
    pub(super) fn of(writer: &'b mut Writer<'a>, close: &'static str) -> Self {
        Self { writer, close, first: true }
    }

    #[inline(always)]
    fn comma(&mut self) {
        if self.first {
            self.first = false;
        } else {
            self.writer.out.push(b',');
        }
    }

    #[inline(always)]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.comma();
        value.serialize(&mut *self.writer)
    }

    #[inline(always)]
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        self.comma();
        self.writer.string(name);
        self.writer.out.push(b':');
        value.serialize(&mut *self.writer)
    }
}

macro_rules! serialize_lists {
    ($($of:ident: $method:ident)*) => {
        $(impl $of for List<'_, '_> {
            type Ok = ();
            type Error = Doubt;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result<()> {
                self.writer.text(self.close)
            }
        })*
    };
}

macro_rules! serialize_structs {
    ($($of:ident)*) => {
        $(impl $of for List<'_, '_> {
            type Ok = ();
            type Error = Doubt;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
                self.field(name, value)
            }

            #[inline]
            fn end(self) -> Result<()> {
                self.writer.text(self.close)
            }
        })*
    };
}

serialize_lists! {
    SerializeSeq: serialize_element
    SerializeTuple: serialize_element
    SerializeTupleStruct: serialize_field
    SerializeTupleVariant: serialize_field
}

serialize_structs! { SerializeStruct SerializeStructVariant }

impl SerializeMap for List<'_, '_> {
    type Ok = ();
    type Error = Doubt;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.comma();
        key.serialize(Key::of(self.writer))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.writer.out.push(b':');
        value.serialize(&mut *self.writer)
    }

    #[inline]
    fn end(self) -> Result<()> {
        self.writer.text(self.close)
    }
}
