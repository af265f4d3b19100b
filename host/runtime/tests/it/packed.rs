//! The list of effects that a handler returns: all or none, and only what fits the requests. The handler returns what it is sent.

use duet_core::packed::{EffectRecord, RequestIter, put_effect, put_rest};
use duet_core::{Action, ConnId, Effect, ErrorCode, Origin, RequestKind, Route, Seq, Source, Target, Targets, Uid};
use duet_runtime::PluginOptions;

use crate::rig::{CONN, Rig, Sent, event, in_one_read, message};

const ROUTE: i32 = 1;

/// The bodies are lists of effects.
fn as_told(list: &mut [u8], effects: &mut Vec<u8>) {
    RequestIter::new(list).for_each(|asked| effects.extend_from_slice(asked.body));
}

fn rig(faults_max: u32) -> Rig {
    let rig = Rig::new();
    let manifest = r#"{"name":"told","version":"1","packed":1,"routes":[{"route":1}],"events":["connect"]}"#;
    rig.runtime.serve_native("told", manifest, as_told, PluginOptions { faults_max, ..PluginOptions::default() }).unwrap();
    rig
}

fn record(request: usize, action: Action<'_>) -> Vec<u8> {
    let mut list = Vec::new();
    put_effect(&mut list, &EffectRecord { request, action });
    list
}

fn sent(action: Action<'_>) -> Sent {
    Sent::from(&Effect { origin: Origin { index: 0, source: Source::Client { conn: CONN, route: Route(ROUTE), seq: Seq(1) } }, action })
}

const fn push(body: &[u8]) -> Action<'_> {
    Action::Push { to: Target::Conn(ConnId(6)), route: Route(8), body }
}

/// One of every kind, with each flag and each sort of target.
fn every_kind<'a>(conns: &'a [u8], uids: &'a [u8]) -> Vec<Action<'a>> {
    let (conn, uid) = (Target::Conn(ConnId(6)), Target::Uid(Uid(9)));
    let (route, body) = (Route(-8), b"!".as_slice());
    vec![
        Action::Push { to: conn, route, body },
        Action::Push { to: uid, route, body: b"" },
        Action::Multicast { to: Targets::new(conns, false), route, body },
        Action::Multicast { to: Targets::new(uids, true), route, body },
        Action::Multicast { to: Targets::new(b"", false), route, body },
        Action::Broadcast { bound_only: false, route, body },
        Action::Broadcast { bound_only: true, route, body },
        Action::Publish { channel: "room", route, body },
        Action::Subscribe(conn, "room"),
        Action::Subscribe(uid, "Grüße"),
        Action::Unsubscribe(conn, "room"),
        Action::Unsubscribe(uid, ""),
        Action::Bind(ConnId(6), Uid(i64::MAX)),
        Action::Unbind(conn),
        Action::Unbind(uid),
        Action::Kick { who: conn, code: ErrorCode(1001), text: "bye", at_once: false },
        Action::Kick { who: uid, code: ErrorCode::KICKED, text: "", at_once: true },
    ]
}

fn id_lists() -> (Vec<u8>, Vec<u8>) {
    let bytes = |ids: [u64; 2]| ids.map(u64::to_le_bytes).concat();
    (bytes([5, 6]), bytes([9, 10]))
}

#[test]
fn effects_of_every_kind_pass_as_they_are_and_in_order() {
    let rig = rig(1);
    let (conns, uids) = id_lists();
    let mut actions = every_kind(&conns, &uids);
    actions.push(Action::Reply(b"done"));
    let list: Vec<u8> = actions.iter().flat_map(|action| record(0, *action)).collect();
    assert_eq!(rig.call(ROUTE, &list), actions.iter().map(|action| sent(*action)).collect::<Vec<_>>());
    assert_eq!(rig.call(ROUTE, &record(0, Action::Error(ErrorCode(65_535), "no"))), [sent(Action::Error(ErrorCode(65_535), "no"))]);
    eprintln!("packed: {} effects of all 11 kinds in one list, each as it was written", actions.len());
}

#[test]
fn a_list_with_a_record_that_does_not_fit_is_a_fault_and_nothing_of_it_happens() {
    let rig = rig(100_000);
    let (conns, uids) = id_lists();
    let mut records: Vec<Vec<u8>> = every_kind(&conns, &uids).into_iter().map(|action| record(0, action)).collect();
    records.push(record(0, Action::Reply(b"done")));
    records.push(record(0, Action::Error(ErrorCode(1000), "no")));
    let mut bad: Vec<(String, Vec<u8>)> = Vec::new();
    for good in &records {
        let kind = good[6];
        for end in [1, 4, 23, good.len() - 1] {
            bad.push((format!("kind {kind} cut at {end}"), good[..end].to_vec()));
        }
        for (what, at, byte) in [("size", 2, 1), ("header", 4, 23), ("header", 5, 1), ("request", 8, 1), ("request", 11, 0xff)] {
            let mut wrong = good.clone();
            wrong[at] = byte;
            bad.push((format!("kind {kind} with another {what}"), wrong));
        }
    }
    let mut with = |what: &str, action: Action<'_>, changes: &[(usize, u8)]| {
        let mut wrong = record(0, action);
        changes.iter().for_each(|(at, byte)| wrong[*at] = *byte);
        bad.push((what.to_owned(), wrong));
    };
    let conn = Target::Conn(ConnId(6));
    with("kind 12", push(b""), &[(6, 12)]);
    with("kind 255", push(b""), &[(6, 255)]);
    with("error 0", Action::Error(ErrorCode(1), ""), &[(12, 0)]);
    with("error 65,537", Action::Error(ErrorCode(1), ""), &[(14, 1)]);
    with("a target too many", Action::Multicast { to: Targets::new(&conns, false), route: Route(8), body: b"" }, &[(16, 3)]);
    with("2^61 targets", Action::Multicast { to: Targets::new(&conns, false), route: Route(8), body: b"" }, &[(16, 0), (23, 0x20)]);
    with("no channel", Action::Publish { channel: "", route: Route(8), body: b"room" }, &[]);
    with("a channel longer than the body", Action::Publish { channel: "room", route: Route(8), body: b"" }, &[(16, 5)]);
    with("a channel that is not UTF-8", Action::Publish { channel: "room", route: Route(8), body: b"" }, &[(24, 0xff)]);
    with("a subscription to none", Action::Subscribe(conn, ""), &[]);
    with("a subscription to a long name", Action::Subscribe(conn, &"x".repeat(256)), &[]);
    with("a name that is not UTF-8", Action::Unsubscribe(conn, "room"), &[(24, 0xff)]);
    with("a long name", Action::Unsubscribe(conn, &"x".repeat(256)), &[]);
    with("uid 0", Action::Bind(ConnId(6), Uid(0)), &[]);
    with("uid -1", Action::Bind(ConnId(6), Uid(-1)), &[]);
    with("a uid of 7 bytes", Action::Bind(ConnId(6), Uid(9)), &[(4, 25)]);
    with("kick with -1", Action::Kick { who: conn, code: ErrorCode(1), text: "", at_once: false }, &[(12, 0xff), (15, 0xff)]);
    with("kick with 65,536", Action::Kick { who: conn, code: ErrorCode(1), text: "", at_once: false }, &[(12, 0), (14, 1)]);
    with("a reply to another", Action::Reply(b""), &[(16, 7)]);
    with("an error with a flag", Action::Error(ErrorCode(1), ""), &[(7, 1)]);
    with("an unknown flag", push(b""), &[(7, 0x80)]);
    with("an error that is not UTF-8", Action::Error(ErrorCode(1), "x"), &[(24, 0xff)]);
    with("a kick that is not UTF-8", Action::Kick { who: conn, code: ErrorCode(1), text: "x", at_once: false }, &[(24, 0xff)]);
    for rest in [0, 1] {
        let mut record = Vec::new();
        put_rest(&mut record, rest);
        bad.push((format!("leaving request {rest} of one"), record));
    }
    for (what, wrong) in &bad {
        let list = [record(0, push(b"never seen")), record(0, Action::Reply(b"never seen")), wrong.clone()].concat();
        assert_eq!(rig.refusal(ROUTE, &list), (ErrorCode::PLUGIN_FAULT, "plugin fault".to_owned()), "{what}");
    }
    eprintln!("packed: {} lists with one bad record, nothing of them happened", bad.len());
}

#[test]
fn a_request_may_make_4096_effects_beside_its_answer() {
    let rig = rig(1000);
    let pushes = |request, count| record(request, push(b"")).repeat(count);
    let most = [pushes(0, 4096), record(0, Action::Reply(b""))].concat();
    assert_eq!(rig.call(ROUTE, &most).len(), 4097);
    for list in [
        [pushes(0, 4097), record(0, Action::Reply(b""))].concat(),
        [record(0, Action::Reply(b"")), pushes(0, 4097)].concat(),
        pushes(0, 4097),
        record(0, Action::Unsubscribe(Target::Uid(Uid(9)), "")).repeat(4097),
    ] {
        assert_eq!(rig.refusal(ROUTE, &list).0, ErrorCode::PLUGIN_FAULT);
    }
    eprintln!("packed: 4,096 effects and a reply passed, 4 lists with 4,097 are faults");
}

#[test]
fn what_one_request_of_a_batch_leaves_unused_is_not_for_another() {
    /// As many pushes as the body says, and a reply.
    fn counted(list: &mut [u8], effects: &mut Vec<u8>) {
        for (request, asked) in RequestIter::new(list).enumerate() {
            let count: usize = std::str::from_utf8(asked.body).unwrap().parse().unwrap();
            effects.extend(record(request, push(b"")).repeat(count));
            effects.extend(record(request, Action::Reply(asked.body)));
        }
    }
    let rig = Rig::new();
    let manifest = r#"{"name":"counted","version":"1","packed":1,"routes":[{"route":1}]}"#;
    rig.runtime.serve_native("counted", manifest, counted, PluginOptions { faults_max: 1000, ..PluginOptions::default() }).unwrap();
    // Calls grow while they are quick: the next one has room for three requests.
    (0..5).for_each(|_| drop(rig.call(ROUTE, b"0")));
    let before = rig.seen.count();
    let asked = |seq, body| message(CONN.0, 0, ROUTE, seq, body);
    rig.send(in_one_read(&[asked(7, b"1"), asked(8, b"4097"), asked(9, b"4096")]));
    let sent = rig.seen.wait(|sent| sent[before..].iter().any(|s| s.seq() == 9)).split_off(before);
    let answers: Vec<(i32, Option<ErrorCode>)> = sent.iter().filter(|s| s.seq() != 0).map(|s| (s.seq(), s.code())).collect();
    assert_eq!(answers, [(7, None), (8, Some(ErrorCode::PLUGIN_FAULT)), (9, None)]);
    assert_eq!(sent.len(), 3 + 1 + 4096);
    eprintln!("packed: of a batch with 1, 4,097 and 4,096 effects only the second request failed");
}

#[test]
fn requests_that_a_call_leaves_come_with_the_next_and_are_handled_once_and_in_order() {
    /// Answers with how many requests it saw, handles two of them, and leaves the others.
    fn two(list: &mut [u8], effects: &mut Vec<u8>) {
        let count = RequestIter::new(list).count();
        for (request, asked) in RequestIter::new(list).enumerate().take(2) {
            if !asked.kind.is_event() {
                effects.extend(record(request, Action::Reply(&[count as u8])));
            }
        }
        if count > 2 {
            put_rest(effects, 2);
        }
    }
    let rig = Rig::new();
    let manifest = r#"{"name":"two","version":"1","packed":1,"routes":[{"route":1}],"events":["connect"]}"#;
    rig.runtime.serve_native("two", manifest, two, PluginOptions { faults_max: 1, ..PluginOptions::default() }).unwrap();
    (0..5).for_each(|_| drop(rig.call(ROUTE, b"")));
    let asked = |seq| message(CONN.0, 0, ROUTE, seq, b"");
    rig.send(in_one_read(&[asked(11), asked(12), event(RequestKind::Connect, CONN.0, 0, ""), asked(13), asked(14), asked(15), asked(16)]));
    let answers: Vec<(i32, u8)> = rig.seen.wait_for(11)[5..]
        .iter()
        .map(|sent| match sent {
            Sent::Message { seq, body, .. } => (*seq, body[0]),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answers, [(11, 7), (12, 7), (13, 5), (14, 3), (15, 3), (16, 1)]);
    rig.idle();
    let snapshot = &rig.runtime.snapshot()[0];
    let total = snapshot.total();
    assert_eq!((snapshot.calls, total.requests, total.faults), (5 + 4, 5 + 7, 0));
}

#[test]
fn a_second_answer_and_an_effect_of_no_request_are_faults() {
    let rig = rig(1000);
    let (reply, error) = (record(0, Action::Reply(b"")), record(0, Action::Error(ErrorCode(1000), "")));
    let mut count = 0;
    for list in [
        [reply.clone(), reply.clone()].concat(),
        [reply.clone(), error.clone()].concat(),
        [error.clone(), reply].concat(),
        [error.clone(), error].concat(),
        record(1, Action::Reply(b"")),
        record(1, push(b"")),
        record(63, push(b"")),
        record(64, Action::Reply(b"")),
        record(u32::MAX as usize, Action::Unbind(Target::Uid(Uid(9)))),
    ] {
        assert_eq!(rig.refusal(ROUTE, &list).0, ErrorCode::PLUGIN_FAULT);
        count += 1;
    }
    eprintln!("packed: {count} lists that contradict their request are faults");
}

#[test]
fn an_error_takes_the_effects_of_its_request_with_it_and_no_others() {
    let rig = rig(1);
    let error = Action::Error(ErrorCode(1000), "no");
    let list = [record(0, push(b"never seen")), record(0, error), record(0, Action::Bind(CONN, Uid(9)))].concat();
    assert_eq!(rig.call(ROUTE, &list), [sent(error)], "before it and behind it");

    /// Each pushes; one of two fails.
    fn every_second(list: &mut [u8], effects: &mut Vec<u8>) {
        for (request, asked) in RequestIter::new(list).enumerate() {
            effects.extend(record(request, push(asked.body)));
            let fails = asked.seq.0 % 2 == 0;
            effects.extend(record(request, if fails { Action::Error(ErrorCode(1000), "no") } else { Action::Reply(b"") }));
        }
    }
    let rig = Rig::new();
    let manifest = r#"{"name":"second","version":"1","packed":1,"routes":[{"route":1}]}"#;
    rig.runtime.serve_native("second", manifest, every_second, PluginOptions::default()).unwrap();
    let asked: Vec<_> = (1..=100).map(|seq| message(CONN.0, 0, ROUTE, seq, if seq % 2 == 0 { b"no" } else { b"yes" })).collect();
    rig.send(in_one_read(&asked));
    let sent = rig.seen.wait(|sent| sent.iter().any(|s| s.seq() == 100));
    assert_eq!(sent.iter().filter(|s| s.seq() == 0).count(), 50);
    assert!(sent.iter().all(|s| !matches!(s, Sent::Message { body, .. } if body == b"no")));
    eprintln!("packed: 51 errors, no effect beside them; 50 pushes of those that did not fail");
}

#[test]
fn an_event_may_have_effects_but_an_answer_to_it_is_a_fault() {
    for answer in [Action::Reply(b"to nobody"), Action::Error(ErrorCode(1000), "to nobody")] {
        let rig = rig(2);
        let tell = |body: &[u8]| {
            let asked = duet_core::Request { body, ..event(RequestKind::Connect, CONN.0, 0, "") };
            rig.send(in_one_read(&[asked]));
            rig.idle();
        };
        tell(&record(0, push(b"welcome")));
        assert_eq!(rig.seen.wait_for(1), [sent(push(b"welcome"))]);
        let list = [record(0, push(b"never seen")), record(0, answer)].concat();
        tell(&list);
        assert_eq!(rig.seen.count(), 1, "nothing of the list happened, and nobody is told");
        tell(&list);
        assert_eq!(rig.refusal(ROUTE, &record(0, Action::Reply(b""))).0, ErrorCode::UNAVAILABLE, "both counted as faults");
        assert_eq!(rig.seen.count(), 2);
    }
    eprintln!("packed: a push of an event passed, 4 answers to events were faults");
}
