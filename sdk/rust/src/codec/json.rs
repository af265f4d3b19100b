//! The json codec.

use serde::{Deserialize, Serialize};
use simd_json::{Deserializer, ErrorType, INPUT_PADDING, Tape, ValueType};

use super::{Body, Codec, Decode, Encode, Json, Scratch};
use crate::{Error, Result};

impl<'a, T: Deserialize<'a>> Decode<'a, T> for Json {
    const CODEC: Codec = Codec::Json;

    #[inline]
    fn decode(body: Body<'a>, scratch: &mut Scratch) -> Result<T> {
        let (buffers, mut tape): (_, Tape<'a>) = scratch.parts();
        // With room behind the body the parser reads it where it is; the last bodies of a batch are copied once.
        let parsed = if body.bytes.len() - body.len >= INPUT_PADDING {
            simd_json::fill_tape_padded(body.bytes, body.len, buffers, &mut tape)
        } else {
            simd_json::fill_tape(body.into_bytes(), buffers, &mut tape)
        };
        let value = parsed.map_err(|error| describe(&error)).and_then(|()| {
            let mut deserializer = Deserializer::from_tape(std::mem::replace(&mut tape, Tape(Vec::new())));
            let value = T::deserialize(&mut deserializer).map_err(|_| explain::<T>(&mut deserializer));
            tape = deserializer.into_tape();
            value
        });
        scratch.keep(tape);
        value.map_err(Error::bad_request)
    }
}

impl<T: Serialize + ?Sized> Encode<T> for Json {
    #[inline]
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()> {
        simd_json::serde::to_writer(out, value).map_err(|error| Error::handler(describe(&error)))
    }
}

/// Reads the value once more, this time noting where it is: the parser's errors do not name the field.
#[cold]
fn explain<'de, T: Deserialize<'de>>(deserializer: &mut Deserializer<'de>) -> String {
    deserializer.restart();
    match serde_path_to_error::deserialize::<_, T>(deserializer) {
        Err(error) if error.path().iter().next().is_some() => format!("`{}`: {}", error.path(), describe(error.inner())),
        Err(error) => describe(error.inner()),
        Ok(_) => "not the same when read twice".to_owned(),
    }
}

/// Serde's own words where there are any, else the parser's and where it stopped.
#[cold]
fn describe(error: &simd_json::Error) -> String {
    match (error.error(), error.character()) {
        (ErrorType::Serde(message), _) => message.clone(),
        (ErrorType::Eof, _) => "the json ends too early".to_owned(),
        (ErrorType::Unexpected(expected, found), _) => {
            let name = |kind: &Option<ValueType>| kind.map_or("something else".to_owned(), |kind| words(&kind));
            format!("expected {}, found {}", name(expected), name(found))
        }
        (kind, Some(character)) => format!("not json: {} at byte {} ({character:?})", words(kind), error.index()),
        (kind, None) if error.is_syntax() => format!("not json: {} at byte {}", words(kind), error.index()),
        (kind, None) => words(kind),
    }
}

/// `ExpectedUnsigned` in words: "expected unsigned".
fn words(kind: &impl std::fmt::Debug) -> String {
    let mut words = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Greet<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(default)]
        age: u8,
    }

    /// Decodes with so many bytes of another record behind the body.
    fn decode(text: &str, behind: usize) -> Result<(String, bool, u8)> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.extend(std::iter::repeat_n(b'7', behind));
        let greet: Greet<'_> = Json::decode(Body::new(&mut bytes, text.len()), &mut Scratch::default())?;
        let borrowed = matches!(greet.name, Cow::Borrowed(_));
        Ok((greet.name.into_owned(), borrowed, greet.age))
    }

    #[test]
    fn strings_are_borrowed_from_the_body_with_and_without_room_behind_it() {
        for behind in [0, 1, 63, 64, 200] {
            let text = r#"{"name":"A\nda","age":36}"#;
            assert_eq!(decode(text, behind).unwrap(), ("A\nda".to_owned(), true, 36), "{behind} bytes behind");
        }
    }

    #[test]
    fn what_is_behind_a_body_is_neither_read_nor_changed() {
        let mut bytes = b"1234".to_vec();
        bytes.resize(4 + INPUT_PADDING, b'5');
        let number: u32 = Json::decode(Body::new(&mut bytes, 4), &mut Scratch::default()).unwrap();
        assert_eq!(number, 1234);
        assert!(bytes[4..].iter().all(|byte| *byte == b'5'));
    }

    #[test]
    fn an_undecodable_body_is_a_bad_request_that_names_what_was_wrong() {
        for behind in [0, 64] {
            let wrong = |text| {
                let error = decode(text, behind).unwrap_err();
                assert_eq!(error.code(), crate::code::BAD_REQUEST);
                error.message().to_owned()
            };
            assert_eq!(wrong(r#"{"age":1}"#), "bad request: missing field `name`");
            assert_eq!(wrong(""), "bad request: the json ends too early");
            assert_eq!(wrong("  "), "bad request: the json ends too early");
            assert_eq!(wrong(r#"{"name":"x","age":300}"#), "bad request: `age`: expected unsigned");
            assert_eq!(wrong(r#"{"name":5}"#), "bad request: `name`: expected string");
            assert_eq!(wrong("{name}"), "bad request: not json: expected object content at byte 1 ('n')");
            assert!(wrong(r#"{"name":"x"} {"#).starts_with("bad request: "), "{}", wrong(r#"{"name":"x"} {"#));
            assert!(wrong("{\"name\":\"\u{1}\"}").starts_with("bad request: "));
        }
        let mut broken = b"{\"name\":\"\xff\"}".to_vec();
        let len = broken.len();
        let read: Result<Greet<'_>> = Json::decode(Body::new(&mut broken, len), &mut Scratch::default());
        assert!(read.unwrap_err().message().starts_with("bad request: "));
    }

    #[test]
    fn scratch_survives_a_bad_body() {
        let mut scratch = Scratch::default();
        for (text, good) in [("[1,2", false), ("[1,2]", true), ("", false), ("[3]", true)] {
            let mut bytes = text.as_bytes().to_vec();
            let len = bytes.len();
            let read: Result<Vec<u8>> = Json::decode(Body::new(&mut bytes, len), &mut scratch);
            assert_eq!(read.is_ok(), good, "{text}");
        }
    }
}
