//! What a visitor is told, call by call.

use std::fmt;

use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

/// Every call of a visitor that takes anything: also whether a text was borrowed, and the bits of a float.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen<'a> {
    Unit,
    None,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Large(i128),
    Larger(u128),
    Float(u64),
    Borrowed(&'a str),
    Copied(String),
    Bytes(Vec<u8>, bool),
    Some(Box<Seen<'a>>),
    Newtype(Box<Seen<'a>>),
    List(Vec<Seen<'a>>),
    Object(Vec<(Seen<'a>, Seen<'a>)>),
}

impl<'de> Deserialize<'de> for Seen<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Seen<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Seen<'de>, E> {
        Ok(Seen::Unit)
    }

    fn visit_none<E>(self) -> Result<Seen<'de>, E> {
        Ok(Seen::None)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Seen<'de>, E> {
        Ok(Seen::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Seen<'de>, E> {
        Ok(Seen::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Seen<'de>, E> {
        Ok(Seen::Signed(number))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Seen<'de>, E> {
        Ok(Seen::Large(number))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Seen<'de>, E> {
        Ok(Seen::Larger(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Seen<'de>, E> {
        Ok(Seen::Float(number.to_bits()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Seen<'de>, E> {
        Ok(Seen::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Seen<'de>, E> {
        Ok(Seen::Copied(text.to_owned()))
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Seen<'de>, E> {
        Ok(Seen::Bytes(bytes.to_vec(), true))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Seen<'de>, E> {
        Ok(Seen::Bytes(bytes.to_vec(), false))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen<'de>, D::Error> {
        Ok(Seen::Some(Box::new(Seen::deserialize(deserializer)?)))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen<'de>, D::Error> {
        Ok(Seen::Newtype(Box::new(Seen::deserialize(deserializer)?)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Seen<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Seen::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Seen<'de>, A::Error> {
        let mut object = Vec::new();
        while let Some(item) = items.next_entry()? {
            object.push(item);
        }
        Ok(Seen::Object(object))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<Seen<'de>, A::Error> {
        let (name, value) = variant.variant()?;
        Ok(Seen::Object(vec![(name, value.newtype_variant()?)]))
    }
}

/// The same visitor, asked for one kind of value.
macro_rules! hinted {
    ($($name:ident: $method:ident($($argument:expr),*);)*) => {
        $(
            #[derive(Debug, Clone, PartialEq)]
            pub(crate) struct $name<'a>(Seen<'a>);

            impl<'de> Deserialize<'de> for $name<'de> {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.$method($($argument,)* Anything).map(Self)
                }
            }
        )*

        /// Runs a check for each kind.
        macro_rules! for_each_hint {
            ($check:ident($text:expr)) => {
                $($check::<crate::seen::$name<'_>>($text);)*
            };
        }
    };
}

hinted! {
    Bool: deserialize_bool();
    I8: deserialize_i8();
    I64: deserialize_i64();
    I128: deserialize_i128();
    U32: deserialize_u32();
    U64: deserialize_u64();
    U128: deserialize_u128();
    F32: deserialize_f32();
    F64: deserialize_f64();
    Char: deserialize_char();
    Str: deserialize_str();
    Text: deserialize_string();
    Bytes: deserialize_bytes();
    ByteBuf: deserialize_byte_buf();
    Maybe: deserialize_option();
    Nothing: deserialize_unit();
    Marker: deserialize_unit_struct("Marker");
    Newtype: deserialize_newtype_struct("Newtype");
    List: deserialize_seq();
    Pair: deserialize_tuple(2);
    NamedPair: deserialize_tuple_struct("NamedPair", 2);
    Object: deserialize_map();
    Record: deserialize_struct("Record", &["a", "b"]);
    Choice: deserialize_enum("Choice", &["a", "b"]);
    Identifier: deserialize_identifier();
    Ignored: deserialize_ignored_any();
}

#[allow(clippy::single_component_path_imports, reason = "without it the macro has no path")]
pub(crate) use for_each_hint;
