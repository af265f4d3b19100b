//! The json codec.

use serde::{Deserialize, Serialize};

use super::{Codec, Decode, Encode, Json};
use crate::{Error, Result};

impl<'a, T: Deserialize<'a>> Decode<'a, T> for Json {
    const CODEC: Codec = Codec::Json;

    #[inline]
    fn decode(body: &'a mut [u8]) -> Result<T> {
        duet_json::from_slice(body).map_err(Error::bad_request)
    }
}

impl<T: Serialize + ?Sized> Encode<T> for Json {
    #[inline]
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()> {
        Ok(duet_json::to_vec(value, out)?)
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
