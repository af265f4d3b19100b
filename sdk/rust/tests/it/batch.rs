//! Packed lists, byte by byte: what a later host may send, and what no host may.

use duet_plugin::MalformedBatch;
use duet_plugin::prelude::*;

use crate::golden::golden;

#[route(7, codec = "bytes")]
fn answer(ctx: &mut Ctx, body: &[u8]) -> Result<&'static [u8]> {
    match body {
        b"hi" => {
            ctx.push_bytes(6, 8, b"!")?;
            Ok(b"yo")
        }
        _ => Err(Error::new(1000, "?")),
    }
}

#[route(8)]
fn length(_ctx: &mut Ctx, text: Cow<'_, str>) -> Result<usize> {
    Ok(text.len())
}

duet_plugin::plugin! { routes: [answer, length] }

/// A message of connection 5 with a header of so many bytes.
fn message(kind: u8, header: u16, route: i32, body: &[u8]) -> Vec<u8> {
    let mut record = golden("request")[..32].to_vec();
    record.resize(usize::from(header), 0xaa);
    record.extend_from_slice(body);
    let size = u32::try_from(record.len()).unwrap();
    record[0..4].copy_from_slice(&size.to_le_bytes());
    record[4..6].copy_from_slice(&header.to_le_bytes());
    record[6] = kind;
    record[24..28].copy_from_slice(&route.to_le_bytes());
    record
}

fn handle(mut requests: Vec<u8>) -> Vec<u8> {
    let mut effects = Vec::new();
    Plugin::handle_batch(&mut requests, &mut effects).unwrap();
    effects
}

/// Kind, request index and body of each effect.
fn read(mut effects: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut records = Vec::new();
    while !effects.is_empty() {
        let size = u32::from_le_bytes(effects[0..4].try_into().unwrap()) as usize;
        let index = u32::from_le_bytes(effects[8..12].try_into().unwrap());
        records.push((effects[6], index, effects[24..size].to_vec()));
        effects = &effects[size..];
    }
    records
}

#[test]
fn an_empty_list_makes_an_empty_list() {
    assert_eq!(handle(Vec::new()), b"");
}

#[test]
fn longer_headers_are_skipped_and_unknown_kinds_keep_their_index() {
    let requests = [message(0, 40, 7, b"hi"), message(9, 32, 7, b"later"), message(1, 32, 7, b"event"), message(0, 32, 7, b"hi")].concat();
    let effects = read(&handle(requests));
    let heads: Vec<_> = effects.iter().map(|(kind, index, _)| (*kind, *index)).collect();
    assert_eq!(heads, [(2, 0), (0, 0), (2, 3), (0, 3)]);
}

#[test]
fn one_failure_leaves_the_other_requests_alone() {
    let requests = [message(0, 32, 7, b"hi"), message(0, 32, 7, b"??"), message(0, 32, 1, b""), message(0, 32, 8, b"\"abc\"")];
    let effects = read(&handle(requests.concat()));
    let expected: [(u8, u32, &[u8]); 5] = [(2, 0, b"!"), (0, 0, b"yo"), (1, 1, b"?"), (1, 2, b"this plugin has no route 1"), (0, 3, b"3")];
    assert_eq!(effects, expected.map(|(kind, index, body)| (kind, index, body.to_vec())));
}

#[test]
fn json_is_read_the_same_wherever_it_lies_in_a_batch() {
    let requests: Vec<u8> = (0..40).flat_map(|n| message(0, 32, 8, format!("\"{}\\n\"", "x".repeat(n)).as_bytes())).collect();
    let effects = read(&handle(requests));
    for (n, (kind, index, body)) in effects.into_iter().enumerate() {
        assert_eq!((kind, index as usize, String::from_utf8(body).unwrap()), (0, n, (n + 1).to_string()));
    }
}

#[test]
fn effects_are_appended_behind_what_is_there() {
    let mut effects = b"before".to_vec();
    Plugin::handle_batch(&mut golden("request"), &mut effects).unwrap();
    assert!(effects.starts_with(b"before") && effects.len() == 6 + 25 + 26);
}

#[test]
fn a_record_that_does_not_fit_is_named() {
    let mut requests = [message(0, 32, 7, b"hi"), message(0, 32, 7, b"hi")].concat();
    requests.pop();
    let mut effects = Vec::new();
    assert_eq!(Plugin::handle_batch(&mut requests, &mut effects), Err(MalformedBatch { request: 1 }));
    assert_eq!(read(&effects).len(), 2, "the first request was handled");
}
