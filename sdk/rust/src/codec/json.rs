//! The json codec.
//!
//! Reading is serde_json over text that was checked as UTF-8 with SIMD: it finds the end of a string eight bytes at a time and
//! builds nothing else, which for typed bodies beats a parser that first indexes the whole text. Writing is simd-json, whose
//! search for characters to escape is SIMD too.

use serde::{Deserialize, Serialize};

use super::{Codec, Decode, Encode, Json};
use crate::{Error, Result};

impl<'a, T: Deserialize<'a>> Decode<'a, T> for Json {
    const CODEC: Codec = Codec::Json;

    #[inline]
    fn decode(body: &'a mut [u8]) -> Result<T> {
        let text = simdutf8::basic::from_utf8(body).map_err(|_| Error::bad_request("the json is not UTF-8"))?;
        serde_json::from_str(text).map_err(|error| Error::bad_request(explain::<T>(text, &error)))
    }
}

impl<T: Serialize + ?Sized> Encode<T> for Json {
    #[inline]
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()> {
        simd_json::serde::to_writer(out, value).map_err(|error| Error::handler(error.to_string()))
    }
}

/// Reads the value once more, this time noting where it is: the parser's own errors do not name the field.
#[cold]
fn explain<'de, T: Deserialize<'de>>(text: &'de str, error: &serde_json::Error) -> String {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(located) if located.path().iter().next().is_some() => format!("`{}`: {}", located.path(), words(located.inner())),
        _ => words(error),
    }
}

/// The parser's words. Where the text is json, but not that of the type, its line and column say nothing.
#[cold]
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((words, _)) if error.is_data() => words.to_owned(),
        _ => text,
    }
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

    #[test]
    fn strings_without_escapes_are_borrowed_from_the_body() {
        let mut plain = br#"{"name":"Ada","age":36}"#.to_vec();
        let greet: Greet<'_> = Json::decode(&mut plain).unwrap();
        assert!(matches!(greet.name, Cow::Borrowed("Ada")));
        assert_eq!(greet.age, 36);
        let mut escaped = br#"{"name":"A\nda"}"#.to_vec();
        let greet: Greet<'_> = Json::decode(&mut escaped).unwrap();
        assert_eq!(greet.name, "A\nda");
    }

    #[test]
    fn an_undecodable_body_is_a_bad_request_that_names_what_was_wrong() {
        let wrong = |text: &[u8]| {
            let error = Json::decode(&mut text.to_vec()).map(|greet: Greet<'_>| greet.age).unwrap_err();
            assert_eq!(error.code(), crate::code::BAD_REQUEST);
            error.message().to_owned()
        };
        assert!(wrong(br#"{"age":1}"#).starts_with("bad request: missing field `name`"));
        assert!(wrong(b"").starts_with("bad request: EOF while parsing"));
        assert!(wrong(br#"{"name":"x","age":300}"#).starts_with("bad request: `age`: invalid value: integer `300`"));
        assert!(wrong(br#"{"name":5}"#).starts_with("bad request: `name`: invalid type"));
        assert!(wrong(br#"{"name":"x"} {"#).starts_with("bad request: trailing characters"));
        assert!(wrong(b"{\"name\":\"\x01\"}").starts_with("bad request: "));
        assert_eq!(wrong(b"{\"name\":\"\xff\"}"), "bad request: the json is not UTF-8");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "plain", "with \"quotes\" and \\ and \n and \u{1} and grün"] {
            let mut out = Vec::new();
            Json::encode(text, &mut out).unwrap();
            let back: String = Json::decode(&mut out).unwrap();
            assert_eq!(back, text);
        }
    }
}
