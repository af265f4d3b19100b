//! Types as plugins have them, and types that only a test would think of.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The benchmark's message.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Echo<'a> {
    #[serde(borrow)]
    pub(crate) message: Cow<'a, str>,
}

/// Strings that must have no escapes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plain<'a> {
    name: &'a str,
    also: Option<&'a str>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Move {
    x: f64,
    y: f64,
    name: String,
    hp: u32,
}

#[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Numbers {
    a: i8,
    b: i16,
    c: i32,
    d: i64,
    e: u8,
    f: u16,
    g: u32,
    h: u64,
    x: f32,
    y: f64,
    #[serde(alias = "bigger")]
    big_signed: i128,
    big: u128,
    flag: bool,
    letter: char,
    unit: (),
    pair: (u8, String),
    three: [i32; 3],
    many: Vec<Option<f32>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Serialize, Deserialize)]
pub(crate) struct Id(u32);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Serialize, Deserialize)]
pub(crate) struct Name(String);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Sword,
    #[serde(rename = "a \"b\"\n\\c", alias = "bow")]
    Bow,
    MagicWand,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Action {
    Stop,
    Say(String),
    Go(f64, f64),
    Use { item: Kind, on: Option<u64> },
    Nested(Box<Action>),
    Empty {},
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Tagged {
    Move { x: f64, y: f64 },
    Chat { text: String },
    Ping,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
pub(crate) enum Adjacent {
    A(u8),
    B { x: f32 },
    C,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Untagged<'a> {
    Number(u64),
    Float(f64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
    List(Vec<i32>),
    Point {
        x: f64,
        y: f64,
    },
    Any(BTreeMap<String, serde_json::Value>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flat {
    id: u64,
    #[serde(flatten)]
    at: Position,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    x: f64,
    y: f64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Strict {
    a: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b: Option<Box<Strict>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    c: Vec<Strict>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Keys {
    #[serde(default)]
    numbers: BTreeMap<i32, bool>,
    #[serde(default)]
    flags: BTreeMap<bool, ()>,
    #[serde(default)]
    ids: BTreeMap<Id, Name>,
    #[serde(default)]
    names: BTreeMap<Name, Id>,
    #[serde(default)]
    kinds: BTreeMap<Kind, Kind>,
    #[serde(default)]
    letters: BTreeMap<char, char>,
    #[serde(default)]
    options: BTreeMap<Option<String>, u8>,
    #[serde(default)]
    units: BTreeMap<(), u8>,
    #[serde(default)]
    large: BTreeMap<u128, i128>,
    #[serde(default)]
    texts: BTreeMap<String, Vec<String>>,
}

/// Holds a part of the text as it stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Raw<'a> {
    #[serde(borrow)]
    raw: &'a RawValue,
    #[serde(default)]
    own: Option<Box<RawValue>>,
}

impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.raw.get() == other.raw.get() && self.own.as_ref().map(|raw| raw.get()) == other.own.as_ref().map(|raw| raw.get())
    }
}

/// Swallows errors: what is not a `T` is none.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Lenient<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(T::deserialize(deserializer).ok()))
    }
}

/// A type that reads nothing at all.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Blind;

impl<'de> Deserialize<'de> for Blind {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

/// Knows a field, ignores all others.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ignoring {
    id: Option<u64>,
}

/// As deep as the text.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deep(Vec<Deep>);

/// Ignored without being looked at.
#[derive(Debug, PartialEq)]
pub(crate) struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}
