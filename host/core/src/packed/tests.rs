use super::*;
use crate::{Action, ConnId, ErrorCode, Route, Seq, Target, Targets, Uid};

fn golden(name: &str) -> Vec<u8> {
    let text = include_str!("../../../../wit/packed-v1.golden");
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')).expect("golden line");
    let hex: String = line.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
}

fn example() -> Request<'static> {
    Request { kind: RequestKind::Message, conn: ConnId(5), uid: Some(Uid(9)), route: Route(7), seq: Seq(2), body: b"hi" }
}

#[test]
fn requests_are_written_as_the_contract_says() {
    let mut requests = Requests::default();
    requests.push(&example());
    assert_eq!(requests.bytes(), golden("request"));
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
        let event = Request { kind, conn: ConnId(5), uid, route: Route(0), seq: Seq(0), body: body.as_bytes() };
        let mut requests = Requests::default();
        requests.push(&event);
        assert_eq!(requests.bytes(), golden(line), "{line}");
        assert_eq!(requests.iter().next(), Some(event), "{line}");
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
fn longer_headers_of_later_versions_are_skipped() {
    let mut record = golden("reply");
    record.splice(24..24, [0xff; 8]);
    record[0] += 8;
    record[4] += 8;
    let effect = EffectIter::new(&record).next().expect("one").expect("valid");
    assert_eq!(effect.action, Action::Reply(b"yo"));
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
