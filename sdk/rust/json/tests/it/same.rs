//! Any bytes, read into every type and written again, here and by `serde_json`. The bodies of the fuzz targets, too.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::seen::{Seen, for_each_hint};
use crate::shapes::{
    Action, Adjacent, Blind, Deep, Echo, Flat, Id, Ignoring, Keys, Kind, Lenient, Move, Name, Numbers, Plain, Raw, Skipped, Strict, Tagged,
    Untagged,
};

/// Any bytes as a text. Returns in how many types they can be read.
pub(crate) fn reading(text: &[u8]) -> usize {
    for_each_hint!(check_read(text));
    check_read::<Skipped>(text);
    let read = [
        check_read::<Seen<'_>>(text),
        check::<Echo<'_>>(text),
        check::<Plain<'_>>(text),
        check::<Move>(text),
        check::<Numbers>(text),
        check::<Kind>(text),
        check::<Action>(text),
        check::<Vec<Action>>(text),
        check::<Tagged>(text),
        check::<Adjacent>(text),
        check::<Untagged<'_>>(text),
        check::<Flat>(text),
        check::<Strict>(text),
        check::<Keys>(text),
        check::<Raw<'_>>(text),
        check::<Ignoring>(text),
        check::<Deep>(text),
        check::<Value>(text),
        check::<serde_json::Number>(text),
        check::<Lenient<u8>>(text),
        check::<Vec<Lenient<i128>>>(text),
        check::<BTreeMap<String, Lenient<Cow<'_, str>>>>(text),
        check::<Lenient<Vec<Lenient<Kind>>>>(text),
        check::<Vec<Blind>>(text),
        check::<&str>(text),
        check::<Option<Cow<'_, str>>>(text),
        check::<(Id, Name, f32)>(text),
    ];
    read.into_iter().filter(|read| *read).count()
}

fn check<'a, T: Deserialize<'a> + Serialize + PartialEq + Debug>(text: &'a [u8]) -> bool {
    check_read::<T>(text);
    match duet_json::from_slice::<T>(text) {
        Ok(value) => {
            check_written(&value);
            true
        }
        Err(_) => false,
    }
}

fn check_read<'a, T: Deserialize<'a> + PartialEq + Debug>(text: &'a [u8]) -> bool {
    let found = duet_json::from_slice::<T>(text).map_err(|error| error.to_string());
    let expected = read::<T>(text);
    // The words of a value tell zero from its negative.
    let same = found == expected && (!text.contains(&b'0') || format!("{found:?}") == format!("{expected:?}"));
    assert!(same, "{found:?}, not {expected:?}, from {:?} as a {}", String::from_utf8_lossy(text), std::any::type_name::<T>());
    found.is_ok()
}

/// What `serde_json` reads, and how its errors are told.
fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    std::str::from_utf8(text).map_err(|_| "the json is not UTF-8".to_owned())?;
    serde_json::from_slice(text).map_err(|error| {
        let words = |error: &serde_json::Error| match error.to_string() {
            all if error.is_data() => all.rsplit_once(" at line ").map_or(all.clone(), |(words, _)| words.to_owned()),
            all => all,
        };
        match serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(text)) {
            Err(located) if located.path().iter().next().is_some() => format!("`{}`: {}", located.path(), words(located.inner())),
            _ => words(&error),
        }
    })
}

pub(crate) fn check_written<T: Serialize + ?Sized>(value: &T) {
    let mut found = b"before".to_vec();
    match (duet_json::to_vec(value, &mut found), serde_json::to_vec(value)) {
        (Ok(()), Ok(expected)) => {
            let expected = [b"before", expected.as_slice()].concat();
            assert!(found == expected, "{:?}, not {:?}", String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected));
        }
        (Err(found), Err(expected)) => assert_eq!(found.to_string(), expected.to_string()),
        (found, expected) => panic!("{found:?}, not {expected:?}, of a {}", std::any::type_name::<T>()),
    }
}

/// Any bytes as values to be written.
pub(crate) fn writing(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    check_written(&*text);
    check_written(&Odd::Bytes(data));
    check_written(&Odd::Displayed(&text));
    check_written(&Odd::Failing(&text));
    check_written(&Odd::Swallowing(data));
    check_written(&BTreeMap::from([(&*text, text.len())]));
    check_written(&text.chars().collect::<Vec<char>>());
    check_written(&text.split('"').collect::<Vec<&str>>());
    for part in data.chunks(16) {
        let mut bytes = [0; 16];
        bytes[..part.len()].copy_from_slice(part);
        let number = u128::from_le_bytes(bytes);
        check_numbers(number);
        for key in [Odd::Number(number as i64), Odd::Float(f64::from_bits(number as u64)), Odd::Bytes(part), Odd::Nothing, Odd::Flag(true)]
        {
            check_written(&Odd::Keyed(&key, number as u8));
        }
    }
}

fn check_numbers(number: u128) {
    check_written(&number);
    check_written(&number.cast_signed());
    check_written(&(number as u64));
    check_written(&(number as i64));
    check_written(&(number as i16));
    check_written(&(number as u8));
    check_written(&f64::from_bits(number as u64));
    check_written(&f32::from_bits(number as u32));
    // Decimals, as positions are.
    for scale in [1, 2, 10, 100, 1000, 10_000, 1 << 20] {
        check_written(&((number as i32) as f64 / f64::from(scale)));
        check_written(&((number as i64) as f64 / f64::from(scale)));
        check_written(&((number as i16) as f32 / scale as f32));
        check_written(&((number as i32) as f32 / scale as f32));
    }
}

/// Values that derived types do not write.
enum Odd<'a> {
    Nothing,
    Flag(bool),
    Number(i64),
    Float(f64),
    Bytes(&'a [u8]),
    Displayed(&'a str),
    /// Says that it cannot be written.
    Failing(&'a str),
    /// Writes something else when a part fails.
    Swallowing(&'a [u8]),
    Keyed(&'a Odd<'a>, u8),
}

impl Serialize for Odd<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::Displayed(text) => serializer.collect_str(text),
            Self::Failing(text) => Err(S::Error::custom(text)),
            Self::Swallowing(bytes) => {
                let mut list = serializer.serialize_seq(None)?;
                if list.serialize_element(&Odd::Bytes(bytes)).is_err() {
                    list.serialize_element("instead")?;
                }
                list.end()
            }
            Self::Keyed(key, choice) => {
                let mut map = serializer.serialize_map(None)?;
                match choice % 4 {
                    0 => map.serialize_entry(&Some(key), key)?,
                    1 => map.serialize_entry(&[1], key)?,
                    2 => map.serialize_entry(&Action::Say("key".to_owned()), key)?,
                    _ => map.serialize_entry(key, &Odd::Keyed(key, 3 - choice % 3).to_string())?,
                }
                map.end()
            }
        }
    }
}

impl fmt::Display for Odd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("odd")
    }
}
