//! Json in a guest: the same sources find the ends of strings with other vector instructions there than here.

use duet_core::{Request, RequestKind, Requests, Route, Seq};
use duet_runtime::PluginOptions;

use crate::rig::{CONN, Rig};

/// The plugin as a component and linked in: both are called with the bodies, and have to give the same list of effects.
fn same_answers(route: i32, bodies: impl IntoIterator<Item = Vec<u8>>) {
    let rig = Rig::new();
    let loaded = rig.runtime.loader().load(&duet_testkit::guest("duet-typed"), PluginOptions::default()).unwrap();
    let mut guest = loaded.caller().unwrap();
    let bodies: Vec<Vec<u8>> = bodies.into_iter().collect();
    for bodies in bodies.chunks(32) {
        let mut requests = Requests::default();
        for body in bodies {
            let kind = RequestKind::Message;
            requests.push(&Request { kind, conn: CONN, uid: None, route: Route(route), seq: Seq(1), key: None, body });
        }
        let mut native = Vec::new();
        duet_typed::Plugin::handle_batch(&mut requests.bytes().to_vec(), &mut native).unwrap();
        let answers = guest(requests.bytes()).unwrap();
        assert!(answers == native, "{}\nbecame in the guest\n{}", shown(requests.bytes()), shown(&answers));
    }
}

fn shown(list: &[u8]) -> String {
    String::from_utf8_lossy(list).into_owned()
}

#[test]
fn a_string_with_anything_at_any_place_is_the_same_in_a_guest() {
    let pieces: [&[u8]; 9] = [b"", b"\\n", b"\\u00e9", b"\\ud83d\\ude00", "é".as_bytes(), b"\x01", b"\"", b"\\", b"\xff"];
    let lengths = (0..70).chain([100, 127, 128, 129, 1000]);
    same_answers(
        1,
        lengths.flat_map(|length| {
            let places = (0..=length).step_by(if length > 40 { 7 } else { 1 });
            places.flat_map(move |place| {
                pieces.map(|piece| {
                    let text = "a".repeat(length);
                    let (before, behind) = text.as_bytes().split_at(place);
                    [b"{\"message\":\"", before, piece, behind, b"\"}"].concat()
                })
            })
        }),
    );
}

#[test]
fn a_text_cut_anywhere_is_refused_in_the_same_words_in_a_guest() {
    let move_ = r#"{"x":1.5,"y":-2.25,"name":"Ada","hp":100}"#;
    same_answers(2, (0..=move_.len()).map(|end| move_.as_bytes()[..end].to_vec()));
    let player =
        r#"{"id":123456789,"name":"Ada \"of\" Lovelace","x":12.5,"y":-3e2,"z":0.1,"state":{"hit":{"by":7,"damage":-12}},"team":null}"#;
    same_answers(3, (0..=player.len()).map(|end| player.as_bytes()[..end].to_vec()));
}

#[test]
fn numbers_are_the_same_in_a_guest() {
    let numbers = [0.0, -0.0, 0.1, 1.5, 0.001, 123_456.789, 1e9, 1e15, 1e16, 1e300, 5e-324, f64::MAX, 0.1 + 0.2, 1.0 / 3.0];
    let integers = [0, 1, -1, i64::MIN, i64::MAX, 1_000_000_000_000_000_000, 999_999_999_999_999_999];
    let texts = numbers.iter().flat_map(|number| [format!("{number}"), format!("{number:e}"), format!("{:?}", -number)]);
    let texts =
        texts.chain(integers.iter().map(i64::to_string)).chain(["18446744073709551616", "1e999", "01", "1.", "-"].map(str::to_owned));
    same_answers(4, texts.map(|text| format!("[{text},{{\"a\":{text}}}]").into_bytes()));
}
