//! Places where one byte more or less matters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::same::{check_written, reading};
use crate::shapes::Echo;

#[test]
fn a_string_of_every_length_with_anything_at_every_place_is_the_same() {
    for length in (0..140).chain([255, 256, 257]) {
        for place in (0..=length).step_by(if length > 70 { 7 } else { 1 }) {
            for piece in ["\\n", "\\u00e9", "\\ud83d\\ude00", "é", "\u{1}", "\"", "\\"] {
                let mut text = "a".repeat(length);
                text.insert_str(place, piece);
                let body = format!("{{\"message\":\"{text}\"}}");
                let found = duet_json::from_slice::<Echo<'_>>(body.as_bytes());
                let expected = serde_json::from_str::<Echo<'_>>(&body);
                match (found, expected) {
                    (Ok(found), Ok(expected)) => {
                        assert_eq!(found, expected);
                        assert_eq!(matches!(found.message, Cow::Borrowed(_)), matches!(expected.message, Cow::Borrowed(_)));
                        check_written(&found);
                    }
                    (Err(_), Err(_)) => {}
                    (found, expected) => panic!("{found:?}, not {expected:?}, from {body:?}"),
                }
                check_written(&text);
            }
        }
    }
}

#[test]
fn lists_of_127_in_one_another_are_read_and_of_128_are_too_deep() {
    for depth in [126, 127, 128, 129] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            reading(format!("{}1{}", open.repeat(depth), close.repeat(depth)).as_bytes());
            reading(format!("{}{}", open.repeat(depth), close.repeat(depth)).as_bytes());
        }
    }
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(duet_json::from_slice::<serde_json::Value>(lists(127).as_bytes()).is_ok());
    let error = duet_json::from_slice::<serde_json::Value>(lists(128).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("recursion limit exceeded at line 1 column 128"), "{error}");
}

#[test]
fn a_text_cut_anywhere_is_refused_in_the_same_words() {
    let text = r#"{"message":"a \"quoted\" \u00e9 word and more than sixteen bytes of it"}"#;
    for end in 0..=text.len() {
        reading(&text.as_bytes()[..end]);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_wherever_they_are() {
    let text = r#"{"message":"sixteen bytes and a few more","skipped":["\n and some text"], "n": 1}"#;
    for place in 0..=text.len() {
        for bytes in [b"\xff".as_slice(), b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\x80", b"\xc3\\u0080"] {
            let mut broken = text.as_bytes().to_vec();
            drop(broken.splice(place..place, bytes.iter().copied()));
            let error = duet_json::from_slice::<Echo<'_>>(&broken).unwrap_err();
            assert_eq!(error.to_string(), "the json is not UTF-8");
        }
    }
}

#[test]
fn decimals_are_written_in_their_shortest_form() {
    let written = |number: f64| {
        let mut out = Vec::new();
        duet_json::to_vec(&number, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    for (number, text) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.5, "1.5"),
        (-2.25, "-2.25"),
        (0.001, "0.001"),
        (-0.001, "-0.001"),
        (999_999_999.999, "999999999.999"),
        (1e9, "1000000000.0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e300, "1e+300"),
        (f64::NAN, "null"),
        (f64::INFINITY, "null"),
    ] {
        assert_eq!(written(number), text);
    }
    for thousandths in -2_000..2_000 {
        check_written(&(f64::from(thousandths) / 1000.0));
        check_written(&(thousandths as f32 / 1000.0));
        check_written(&((thousandths * 499) as f32 / 1000.0));
    }
}

#[test]
fn a_key_that_is_not_a_boolean_is_refused_whatever_it_begins_with() {
    for key in ["\u{1f600}", "é", "yes", "t", ""] {
        let text = format!("{{\"{key}\":1}}");
        assert!(duet_json::from_slice::<BTreeMap<bool, u8>>(text.as_bytes()).is_err(), "{text}");
    }
}
