use std::sync::Arc;

use super::*;
use crate::{Action, Asker, ConnId, ErrorCode, InFlight, Key, Route, Seq, Target, Targets, Uid};

fn golden(name: &str) -> Vec<u8> {
    let text = include_str!("../../../../wit/packed-v1.golden");
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')).expect("golden line");
    let hex: String = line.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
}

fn example() -> Request<'static> {
    Request { kind: RequestKind::Message, conn: ConnId(5), uid: Some(Uid(9)), route: Route(7), seq: Seq(2), key: None, body: b"hi" }
}

#[test]
fn requests_are_written_as_the_contract_says() {
    let mut requests = Requests::default();
    requests.push(&example());
    assert_eq!(requests.bytes(), golden("request"));
}

#[test]
fn a_key_stands_behind_the_header_and_costs_nothing_where_there_is_none() {
    let keyed = Request { key: Some(Key(11)), ..example() };
    let mut requests = Requests::default();
    requests.push(&keyed);
    assert_eq!(requests.bytes(), golden("request-key"));
    requests.push(&example());
    assert_eq!(requests.bytes().len(), keyed.record_bytes() + example().record_bytes());
    assert_eq!(example().record_bytes() + 8, keyed.record_bytes());
    assert_eq!(requests.iter().collect::<Vec<_>>(), [keyed, example()]);
    // A later host with a longer header writes 0 for no key.
    let mut none = golden("request-key");
    none[32] = 0;
    assert_eq!(RequestIter::new(&none).collect::<Vec<_>>(), [example()]);
}

#[test]
fn requests_come_back_in_order_with_signed_numbers() {
    let negative = Request { uid: None, route: Route(-7), seq: Seq(i32::MIN), body: b"", ..example() };
    let mut requests = Requests::default();
    requests.push(&example());
    requests.push(&negative);
    assert_eq!(requests.iter().collect::<Vec<_>>(), [example(), negative]);
    assert_eq!(requests.len(), 2);
}

#[test]
fn events_are_written_as_the_contract_says() {
    for (line, kind, uid, body) in [
        ("connect", RequestKind::Connect, None, "192.0.2.1:80"),
        ("bind-event", RequestKind::Bind, Some(Uid(9)), ""),
        ("disconnect", RequestKind::Disconnect, Some(Uid(9)), "silence"),
        ("suspend", RequestKind::Suspend, Some(Uid(9)), "lost"),
        ("resume", RequestKind::Resume, Some(Uid(9)), "192.0.2.1:81"),
    ] {
        let event = Request { kind, conn: ConnId(5), uid, route: Route(0), seq: Seq(0), key: None, body: body.as_bytes() };
        let mut requests = Requests::default();
        requests.push(&event);
        assert_eq!(requests.bytes(), golden(line), "{line}");
        assert_eq!(requests.iter().next(), Some(event), "{line}");
    }
}

#[derive(Debug)]
struct Nobody;

impl Asker for Nobody {
    fn done(&self, _: usize) {}
}

#[test]
fn a_list_that_is_split_has_in_flight_what_it_has_of_messages() {
    let (message, event) = (example(), Request { kind: RequestKind::Bind, body: b"", ..example() });
    for (list, kept, off) in [
        ([message, event, event], 1, 0),
        ([event, message, message], 0, 2),
        ([message, event, message], 1, 1),
        ([message, message, message], 1, 2),
        ([event, event, event], 0, 0),
    ] {
        let mut requests = Requests::default();
        list.iter().for_each(|request| requests.push(request));
        // As a gate does it: it counts messages.
        requests.depart(InFlight::new(Arc::new(Nobody), kept + off));
        let mut rest = requests.split_off(1);
        let counted = |list: &mut Requests| list.take_in_flight().iter().map(InFlight::requests).sum::<usize>();
        assert_eq!((counted(&mut requests), counted(&mut rest)), (kept, off), "{:?}", list.map(|request| request.kind));
    }
}

#[test]
fn every_effect_is_read_and_written_as_the_contract_says() {
    let conn = Target::Conn(ConnId(6));
    let uid = Target::Uid(Uid(9));
    let (route, body) = (Route(8), b"!".as_slice());
    let conns = [5u64.to_le_bytes(), 6u64.to_le_bytes()].concat();
    let uids = [9u64.to_le_bytes(), 10u64.to_le_bytes()].concat();
    let effects = [
        ("reply", Action::Reply(b"yo")),
        ("error", Action::Error(ErrorCode(1000), "no")),
        ("push", Action::Push { to: conn, route, body }),
        ("push-uid", Action::Push { to: uid, route, body }),
        ("multicast", Action::Multicast { to: Targets::new(&conns, false), route, body }),
        ("multicast-uids", Action::Multicast { to: Targets::new(&uids, true), route, body }),
        ("broadcast", Action::Broadcast { bound_only: false, route, body }),
        ("broadcast-bound", Action::Broadcast { bound_only: true, route, body }),
        ("publish", Action::Publish { channel: "room", route, body }),
        ("subscribe", Action::Subscribe(conn, "room")),
        ("subscribe-uid", Action::Subscribe(uid, "room")),
        ("unsubscribe", Action::Unsubscribe(conn, "room")),
        ("unsubscribe-all", Action::Unsubscribe(conn, "")),
        ("bind", Action::Bind(ConnId(5), Uid(9))),
        ("unbind", Action::Unbind(Target::Conn(ConnId(5)))),
        ("unbind-uid", Action::Unbind(uid)),
        ("kick", Action::Kick { who: conn, code: ErrorCode(1001), text: "bye", at_once: false }),
        ("kick-uid-at-once", Action::Kick { who: uid, code: ErrorCode::KICKED, text: "", at_once: true }),
    ];
    for (line, action) in effects {
        let record = EffectRecord { request: 0, action };
        assert_eq!(EffectIter::new(&golden(line)).collect::<Vec<_>>(), [Ok(record)], "{line}");
        let mut written = Vec::new();
        put_effect(&mut written, &record);
        assert_eq!(written, golden(line), "{line}");
    }
    let ids: Vec<Target> = Targets::new(&uids, true).iter().collect();
    assert_eq!(ids, [uid, Target::Uid(Uid(10))]);
}

#[test]
fn a_list_ends_with_the_record_that_leaves_requests() {
    let mut written = Vec::new();
    put_rest(&mut written, 1);
    assert_eq!(written, golden("rest"));
    let list = [golden("reply"), written.clone()].concat();
    let mut records = EffectIter::new(&list);
    assert!(records.next().is_some_and(|record| record.is_ok()) && records.rest().is_none());
    assert_eq!((records.next(), records.rest(), records.at()), (None, Some(1), list.len()));
    let refused = |list: &[u8]| EffectIter::new(list).find_map(Result::err);
    let wrong = |part| Some(EffectError::Wrong { at: 0, kind: 11, part });
    assert_eq!(refused(&[golden("rest"), golden("reply")].concat()), wrong("place in the list"));
    assert_eq!(refused(&[golden("rest"), golden("rest")].concat()), wrong("place in the list"));
    for (at, part) in [(7, "flags"), (12, "route"), (16, "target")] {
        written[at] = 1;
        assert_eq!(refused(&written), wrong(part));
        written[at] = 0;
    }
    let body = [&[25], &written[1..], b"!"].concat();
    assert_eq!(refused(&body), wrong("body"));
}

#[test]
fn effects_with_wrong_parts_are_refused() {
    let wrong = |line: &str, at: usize, byte: u8| {
        let mut bad = golden(line);
        bad[at] = byte;
        EffectIter::new(&bad).find_map(Result::err)
    };
    assert_eq!(wrong("multicast", 16, 3), Some(EffectError::Wrong { at: 0, kind: 3, part: "number of targets" }));
    assert_eq!(wrong("multicast", 23, 0xff), Some(EffectError::Wrong { at: 0, kind: 3, part: "number of targets" }));
    assert_eq!(wrong("publish", 16, 200), Some(EffectError::Wrong { at: 0, kind: 5, part: "channel" }));
    assert_eq!(wrong("publish", 16, 0), Some(EffectError::Wrong { at: 0, kind: 5, part: "channel" }));
    assert_eq!(wrong("subscribe", 24, 0xff), Some(EffectError::Wrong { at: 0, kind: 6, part: "channel" }));
    assert_eq!(wrong("bind", 31, 0x80), Some(EffectError::Wrong { at: 0, kind: 8, part: "uid" }));
    assert_eq!(wrong("bind", 24, 0), Some(EffectError::Wrong { at: 0, kind: 8, part: "uid" }));
    assert_eq!(wrong("kick", 15, 0xff), Some(EffectError::BadCode { at: 0, code: 1001 - (1 << 24) }));
}

#[test]
fn a_field_that_a_kind_does_not_use_must_be_zero() {
    let with = |line: &str, at: usize, byte: u8| {
        let mut bad = golden(line);
        bad[at] = byte;
        EffectIter::new(&bad).find_map(Result::err)
    };
    let wrong = |kind: u8, part: &'static str| Some(EffectError::Wrong { at: 0, kind, part });
    for (line, kind) in [("reply", 0), ("error", 1), ("broadcast", 4), ("publish", 5), ("bind", 8)] {
        assert_eq!(with(line, 7, 1), wrong(kind, "flags"), "{line}: neither connection nor uid");
    }
    for (line, kind) in [("push", 2), ("multicast", 3), ("subscribe", 6), ("unsubscribe", 7), ("unbind", 9)] {
        assert_eq!(with(line, 7, 2), wrong(kind, "flags"), "{line}: only a kick is at once");
        assert_eq!(with(line, 7, 1), None, "{line} may be about a uid");
    }
    for bit in 2..8 {
        assert_eq!(with("kick", 7, 1 << bit), wrong(10, "flags"), "bit {bit} has no meaning");
    }
    for (line, kind) in [("reply", 0), ("subscribe", 6), ("unsubscribe-all", 7), ("bind", 8), ("unbind", 9)] {
        assert_eq!(with(line, 12, 1), wrong(kind, "route"), "{line} has no route");
    }
    for (line, kind) in [("reply", 0), ("error", 1)] {
        assert_eq!(with(line, 16, 5), wrong(kind, "target"), "{line} goes to who asked");
        assert_eq!(with(line, 23, 1), wrong(kind, "target"), "{line}: the last byte of it");
    }
    assert_eq!(with("broadcast", 16, 2), wrong(4, "target"), "0 and 1 are all there is");
    assert_eq!(with("broadcast-bound", 20, 1), wrong(4, "target"));
    let unbind = [&golden("unbind")[..], b"x"].concat();
    let longer = [&[25], &unbind[1..]].concat();
    assert_eq!(EffectIter::new(&longer).find_map(Result::err), wrong(9, "body"));
}

#[test]
fn the_text_of_an_error_and_of_a_kick_must_be_utf_8() {
    for (line, kind) in [("error", 1), ("kick", 10)] {
        let mut bad = golden(line);
        bad[24] = 0xff;
        assert_eq!(EffectIter::new(&bad).find_map(Result::err), Some(EffectError::Wrong { at: 0, kind, part: "text" }), "{line}");
    }
}

#[test]
fn a_code_is_from_1_to_65_535_and_0_in_a_kick_alone() {
    let with = |line: &str, code: i32| {
        let mut record = golden(line);
        record[12..16].copy_from_slice(&code.to_le_bytes());
        EffectIter::new(&record).find_map(Result::err)
    };
    for line in ["error", "kick"] {
        for code in [-1, 65_536, i32::MIN, i32::MAX] {
            assert_eq!(with(line, code), Some(EffectError::BadCode { at: 0, code }), "{line}");
        }
        assert_eq!((with(line, 1), with(line, 65_535)), (None, None), "{line}");
    }
    assert_eq!((with("error", 0), with("kick", 0)), (Some(EffectError::BadCode { at: 0, code: 0 }), None));
}

#[test]
fn names_of_channels_have_1_to_255_bytes() {
    let named = |kind: u8, name: &[u8]| {
        let mut record = golden("subscribe")[..24].to_vec();
        (record[6], record[0], record[1]) = (kind, (24 + name.len()) as u8, ((24 + name.len()) >> 8) as u8);
        record.extend_from_slice(name);
        EffectIter::new(&record).find_map(Result::err)
    };
    let wrong = |kind: u8| Some(EffectError::Wrong { at: 0, kind, part: "channel" });
    for kind in [6, 7] {
        assert_eq!((named(kind, &[b'x'; 255]), named(kind, &[b'x'; 256])), (None, wrong(kind)));
    }
    assert_eq!((named(6, b""), named(7, b"")), (wrong(6), None), "leaving all channels has no name");
}

#[test]
fn longer_headers_of_later_hosts_and_plugins_are_skipped() {
    // More header after the key, and a header that ends within the key.
    for (line, key) in [("request-longer-header", Some(Key(11))), ("request-odd-header", None)] {
        assert_eq!(RequestIter::new(&golden(line)).collect::<Vec<_>>(), [Request { key, ..example() }], "{line}");
    }
    let reply = Ok(EffectRecord { request: 0, action: Action::Reply(b"yo") });
    assert_eq!(EffectIter::new(&golden("reply-longer-header")).collect::<Vec<_>>(), [reply]);
}

#[test]
fn a_request_of_an_unknown_kind_is_skipped_and_an_effect_is_refused() {
    let list = [golden("request-unknown-kind"), golden("request"), golden("request-unknown-kind")].concat();
    assert_eq!(RequestIter::new(&list).collect::<Vec<_>>(), [example()]);
    let unknown = golden("effect-unknown-kind");
    assert_eq!(EffectIter::new(&unknown).collect::<Vec<_>>(), [Err(EffectError::UnknownKind { at: 0, kind: 200 })]);
}

#[test]
fn a_request_that_does_not_fit_ends_the_list() {
    let list = golden("request");
    for (at, byte) in [(0, 0), (0, 31), (0, 35), (4, 31), (4, 35), (5, 1)] {
        let mut bad = list.clone();
        bad[at] = byte;
        assert_eq!(RequestIter::new(&bad).count(), 0, "byte {at} is {byte}");
    }
}

#[test]
fn every_truncation_and_every_wrong_field_is_refused() {
    let list = golden("push");
    for end in 1..list.len() {
        assert!(EffectIter::new(&list[..end]).any(|e| e.is_err()), "cut at {end}");
    }
    let with = |at: usize, byte: u8| {
        let mut bad = list.clone();
        bad[at] = byte;
        EffectIter::new(&bad).find_map(Result::err)
    };
    assert!(matches!(with(0, 0xff), Some(EffectError::Misfit { .. })));
    assert!(matches!(with(0, 0), Some(EffectError::Misfit { .. })), "a record of size 0 must not loop");
    assert!(matches!(with(4, 23), Some(EffectError::Misfit { .. })));
    assert!(matches!(with(5, 1), Some(EffectError::Misfit { .. })));
    assert_eq!(with(6, 77), Some(EffectError::UnknownKind { at: 0, kind: 77 }));
    assert_eq!(
        EffectIter::new(&{
            let mut bad = golden("reply");
            bad[6] = 1;
            bad
        })
        .find_map(Result::err),
        Some(EffectError::BadCode { at: 0, code: 0 })
    );
}
