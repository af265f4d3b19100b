//! The rules of RFC 6455, in the groups of Autobahn's fuzzing client.

use duet_codec::ws::{Role, WsDecoder, WsEvent};

use crate::seen::{Seen, frame, read, read_all, server};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const LAST: u8 = 0x80;
const MORE: u8 = 0x00;
const TEXT_MORE: u8 = 0x01;
const BINARY_MORE: u8 = 0x02;

/// What a server that takes everything makes of these frames.
fn seen(frames: &[Vec<u8>]) -> Vec<Seen> {
    read_all(|| server(1 << 20), &frames.concat())
}

#[test]
fn messages_of_every_length_form_arrive() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 200_000] {
        let payload: Vec<u8> = (0..length).map(|at: u32| at as u8).collect();
        assert_eq!(seen(&[frame(BINARY, &payload)]), [Seen::Binary(payload)]);
        let text = "*".repeat(length as usize);
        assert_eq!(seen(&[frame(TEXT, text.as_bytes())]), [Seen::Text(text)]);
    }
}

#[test]
fn pings_and_pongs_arrive_with_their_payload() {
    let frames = [frame(PING, b""), frame(PING, &[0xfe; 125]), frame(PONG, b"unasked")];
    assert_eq!(seen(&frames), [Seen::Ping(vec![]), Seen::Ping(vec![0xfe; 125]), Seen::Pong(b"unasked".to_vec())]);
}

#[test]
fn a_control_frame_above_125_bytes_is_a_protocol_error() {
    for first in [PING, PONG, CLOSE] {
        assert_eq!(seen(&[frame(first, &[0; 126])]), [Seen::Failed(1002)]);
    }
}

#[test]
fn a_fragmented_control_frame_is_a_protocol_error() {
    for first in [PING, PONG, CLOSE] {
        assert_eq!(seen(&[frame(first & 0x7f, b""), frame(LAST, b"")]), [Seen::Failed(1002)]);
    }
}

#[test]
fn reserved_bits_are_a_protocol_error() {
    for bit in [0x10, 0x20, 0x40] {
        for first in [TEXT, BINARY, CLOSE, PING, PONG] {
            let frames = [frame(BINARY, b"good"), frame(first | bit, b"bad"), frame(PING, b"")];
            assert_eq!(seen(&frames), [Seen::Binary(b"good".to_vec()), Seen::Failed(1002)]);
        }
    }
}

#[test]
fn unknown_opcodes_are_a_protocol_error() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_eq!(seen(&[frame(0x80 | opcode, b"")]), [Seen::Failed(1002)]);
    }
}

#[test]
fn fragments_make_one_message() {
    let frames = [frame(TEXT_MORE, b"frag"), frame(MORE, b""), frame(MORE, b"men"), frame(LAST, b"t"), frame(BINARY, b"x")];
    assert_eq!(seen(&frames), [Seen::Text("fragment".into()), Seen::Binary(b"x".to_vec())]);
    assert_eq!(seen(&[frame(BINARY_MORE, b""), frame(MORE, b""), frame(LAST, b"")]), [Seen::Binary(vec![])]);
}

#[test]
fn control_frames_may_come_between_fragments() {
    let frames = [frame(BINARY_MORE, b"a"), frame(PING, b"1"), frame(PONG, b""), frame(MORE, b"b"), frame(PING, b"2"), frame(LAST, b"c")];
    let ping = |payload: &[u8]| Seen::Ping(payload.to_vec());
    assert_eq!(seen(&frames), [ping(b"1"), Seen::Pong(vec![]), ping(b"2"), Seen::Binary(b"abc".to_vec())]);
}

#[test]
fn a_continuation_of_nothing_is_a_protocol_error() {
    for first in [LAST, MORE] {
        assert_eq!(seen(&[frame(first, b"x")]), [Seen::Failed(1002)]);
        let frames = [frame(BINARY_MORE, b"a"), frame(LAST, b"b"), frame(first, b"c")];
        assert_eq!(seen(&frames), [Seen::Binary(b"ab".to_vec()), Seen::Failed(1002)]);
    }
}

#[test]
fn a_message_inside_a_message_is_a_protocol_error() {
    for first in [TEXT, BINARY, TEXT_MORE, BINARY_MORE] {
        assert_eq!(seen(&[frame(BINARY_MORE, b"a"), frame(first, b"b")]), [Seen::Failed(1002)]);
    }
}

#[test]
fn a_character_may_be_split_over_fragments() {
    let text = "κόσμε 🦀";
    for split in 0..=text.len() {
        let (first, second) = text.as_bytes().split_at(split);
        assert_eq!(seen(&[frame(TEXT_MORE, first), frame(LAST, second)]), [Seen::Text(text.into())]);
    }
}

#[test]
fn text_that_is_not_utf8_fails_with_1007() {
    for bad in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xce", b"\xf0\x9f\xa6"] {
        assert_eq!(seen(&[frame(TEXT, bad)]), [Seen::Failed(1007)]);
        assert_eq!(seen(&[frame(TEXT_MORE, b"begun "), frame(LAST, bad)]), [Seen::Failed(1007)]);
    }
}

#[test]
fn text_fails_as_soon_as_it_cannot_become_utf8() {
    let mut decoder = server(1 << 20);
    let mut events = Vec::new();
    read(&mut decoder, &frame(TEXT_MORE, b"\xf4"), &mut events).unwrap();
    assert_eq!(read(&mut decoder, &frame(MORE, b"\x90"), &mut events).unwrap_err().code, 1007);

    let mut decoder = server(1 << 20);
    let whole = frame(TEXT, b"\xce\xba\xed\xa0\x80edited");
    read(&mut decoder, &whole[..9], &mut events).unwrap();
    assert_eq!(read(&mut decoder, &whole[9..10], &mut events).unwrap_err().code, 1007);
    assert!(events.is_empty());
}

#[test]
fn binary_messages_need_not_be_utf8() {
    assert_eq!(seen(&[frame(BINARY_MORE, b"\xff"), frame(LAST, b"\xfe")]), [Seen::Binary(b"\xff\xfe".to_vec())]);
}

#[test]
fn close_codes_that_may_be_sent_are_accepted() {
    for code in [1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        let payload = [&code.to_be_bytes()[..], "grün".as_bytes()].concat();
        assert_eq!(seen(&[frame(CLOSE, &payload)]), [Seen::Close(Some(code), "grün".into())]);
    }
    assert_eq!(seen(&[frame(CLOSE, b"")]), [Seen::Close(None, String::new())]);
    let longest = [&[0x03, 0xe8][..], &[b'*'; 123]].concat();
    assert_eq!(seen(&[frame(CLOSE, &longest)]), [Seen::Close(Some(1000), "*".repeat(123))]);
}

#[test]
fn close_codes_that_must_not_be_sent_are_a_protocol_error() {
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        assert_eq!(seen(&[frame(CLOSE, &code.to_be_bytes())]), [Seen::Failed(1002)]);
    }
}

#[test]
fn a_close_frame_of_one_byte_or_with_a_bad_reason_fails() {
    assert_eq!(seen(&[frame(CLOSE, b"\x03")]), [Seen::Failed(1002)]);
    assert_eq!(seen(&[frame(CLOSE, b"\x03\xe8\xce\xba\xe1\xbd")]), [Seen::Failed(1007)]);
}

#[test]
fn what_follows_a_close_frame_is_swallowed() {
    let frames = [frame(BINARY_MORE, b"lost"), frame(CLOSE, b"\x03\xe8"), frame(PING, b""), frame(0x7f, b"garbage")];
    assert_eq!(seen(&frames), [Seen::Close(Some(1000), String::new())]);
    let mut decoder = server(100);
    read(&mut decoder, &frames.concat(), &mut Vec::new()).unwrap();
    assert!(!decoder.is_partial());
}

#[test]
fn a_server_refuses_frames_without_a_mask_and_a_client_refuses_masked_ones() {
    let bare = [0x82, 1, 7];
    assert_eq!(read_all(|| server(10), &bare), [Seen::Failed(1002)]);
    let client = || WsDecoder::new(Role::Client, 10, false);
    assert_eq!(read_all(client, &bare), [Seen::Binary(vec![7])]);
    assert_eq!(read_all(client, &frame(BINARY, b"x")), [Seen::Failed(1002)]);
}

#[test]
fn text_that_is_not_accepted_fails_with_1003_at_its_header() {
    let mut decoder = WsDecoder::new(Role::Server, 10, false);
    assert_eq!(decoder.next(&mut [TEXT, 0x85]).unwrap_err().code, 1003);
    let mut decoder = WsDecoder::new(Role::Server, 10, false);
    assert_eq!(decoder.next(&mut [TEXT_MORE, 0x85]).unwrap_err().code, 1003);
}

#[test]
fn oversize_message_fails_with_1009_at_its_header() {
    assert_eq!(read_all(|| server(10), &frame(BINARY, &[0; 10])), [Seen::Binary(vec![0; 10])]);
    assert_eq!(server(10).next(&mut [BINARY, 0x80 | 11]).unwrap_err().code, 1009);
    assert_eq!(server(10).next(&mut [BINARY, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).unwrap_err().code, 1009);
    let frames = [frame(BINARY_MORE, &[0; 6]), frame(PING, &[0; 20]), frame(LAST, &[0; 5])].concat();
    assert_eq!(read_all(|| server(10), &frames), [Seen::Ping(vec![0; 20]), Seen::Failed(1009)]);
}

#[test]
fn lengths_must_be_as_short_as_possible() {
    for head in [&[BINARY, 0xfe, 0, 125][..], &[BINARY, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], &[BINARY, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(server(1 << 20).next(&mut head.to_vec()).unwrap_err().code, 1002);
    }
}

#[test]
fn a_frame_that_lies_in_the_input_is_not_copied() {
    let mut decoder = server(1 << 20);
    let mut input = [frame(BINARY, &[1; 70]), frame(TEXT, b"text"), frame(PING, b"ping")].concat();
    let range = input.as_ptr_range();
    let mut unread = &mut input[..];
    for _ in 0..3 {
        let (consumed, event) = decoder.next(unread).unwrap();
        let payload = match event.unwrap() {
            WsEvent::Binary(payload) | WsEvent::Ping(payload) => payload,
            WsEvent::Text(text) => text.as_bytes(),
            other => panic!("{other:?}"),
        };
        assert!(range.contains(&payload.as_ptr()));
        unread = &mut unread[consumed..];
    }
    assert!(unread.is_empty());
}

#[test]
fn a_payload_whose_header_came_before_it_is_not_copied_either() {
    let mut decoder = server(100);
    let whole = frame(BINARY, &[9; 50]);
    assert_eq!(decoder.next(&mut whole[..5].to_vec()).unwrap(), (5, None));
    let mut input = whole[5..].to_vec();
    let range = input.as_ptr_range();
    let Ok((51, Some(WsEvent::Binary(payload)))) = decoder.next(&mut input) else { panic!("no message") };
    assert!(range.contains(&payload.as_ptr()));
    assert_eq!(payload, [9; 50]);
}

#[test]
fn it_is_partial_from_the_first_byte_to_the_last() {
    let mut decoder = server(100);
    let stream = [frame(BINARY_MORE, b"ab"), frame(PING, b"p"), frame(LAST, b"cd")].concat();
    assert!(!decoder.is_partial());
    for (at, byte) in stream.iter().enumerate() {
        read(&mut decoder, &[*byte], &mut Vec::new()).unwrap();
        assert_eq!(decoder.is_partial(), at + 1 < stream.len());
    }
}

#[test]
fn an_idle_decoder_is_small() {
    assert!(size_of::<WsDecoder>() <= 128, "{} bytes", size_of::<WsDecoder>());
}
