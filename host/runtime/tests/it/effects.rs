//! Effects that a plugin makes through `gateway.push`: in order, all or none, and bounded.

use std::time::Duration;

use duet_core::packed::{EffectRecord, RequestIter, put_effect};
use duet_core::{Action, ErrorCode, Route};
use duet_runtime::{NativeHandler, PluginOptions};

use crate::gate::{body, wanting};
use crate::rig::{CONN, Rig, Sent, requests};

fn push(body: &[u8]) -> Sent {
    Sent::Message { conn: CONN.0, route: 7, seq: 0, body: body.to_vec() }
}

fn reply(seq: i32, body: &[u8]) -> Sent {
    Sent::Message { conn: CONN.0, route: 206, seq, body: body.to_vec() }
}

fn rig() -> Rig {
    let options =
        PluginOptions { faults_max: 1000, memory_bytes: 256 << 20, call_budget: Duration::from_millis(500), ..PluginOptions::default() };
    Rig::with_single(options)
}

#[test]
fn pushes_go_out_when_the_call_returns_and_before_its_reply() {
    let rig = rig();
    assert_eq!(rig.call(206, b"first"), [push(b"first"), reply(1, b"pushed")]);
    assert_eq!(rig.call(206, b""), [push(b""), reply(1, b"pushed")]);
    eprintln!("effects: 2 pushes, each before its reply");
}

#[test]
fn a_trap_or_a_timeout_discards_the_pushes_of_its_call() {
    let rig = Rig::with_single(PluginOptions { faults_max: 1000, ..PluginOptions::default() });
    for _ in 0..5 {
        assert_eq!(rig.refusal(207, b"never").0, ErrorCode::PLUGIN_FAULT);
        assert_eq!(rig.refusal(213, b"never").0, ErrorCode::TIMEOUT);
        assert_eq!(rig.call(206, b"seen"), [push(b"seen"), reply(1, b"pushed")]);
    }
    eprintln!("effects: 5 traps and 5 timeouts behind a push, none of the 10 pushes went out");
}

#[test]
fn a_bad_message_among_good_ones_fails_alone_and_the_others_take_effect_once() {
    let rig = rig();
    for _ in 0..10 {
        rig.reply(211, b"warm");
    }
    let before = rig.seen.count();
    let bad = [4, 11, 12, 20];
    let bodies: Vec<String> = (1..21).map(|seq| seq.to_string()).collect();
    let list: Vec<(u64, i32, i32, &[u8])> =
        (1..21).zip(&bodies).map(|(seq, body)| (CONN.0, if bad.contains(&seq) { 207 } else { 206 }, seq, body.as_bytes())).collect();
    rig.send(requests(&list));
    let mut expected = Vec::new();
    for (seq, body) in (1..21).zip(&bodies) {
        if bad.contains(&seq) {
            let code = ErrorCode::PLUGIN_FAULT;
            expected.push(Sent::Error { conn: CONN.0, route: 207, seq, code, text: code.text().to_owned() });
        } else {
            expected.extend([push(body.as_bytes()), reply(seq, b"pushed")]);
        }
    }
    let sent = rig.seen.wait_for(before + expected.len()).split_off(before);
    assert_eq!(sent, expected);
    eprintln!("effects: 20 messages at once, 4 of them bad: 4 faults, 16 pushes and 16 replies, once each and in order");
}

#[test]
fn pushes_above_the_limits_of_a_call_are_refused_and_the_call_goes_on() {
    let rig = rig();
    for (bytes, expected) in [(0, 4096), (2048, (4 << 20) / (2048 + 24))] {
        let before = rig.seen.count();
        let answer = rig.call(209, &vec![b'x'; bytes]);
        let Some(Sent::Message { seq: 1, body, .. }) = answer.last() else { panic!("no reply but {:?}", answer.last()) };
        let refused = u32::from_le_bytes(body.as_slice().try_into().unwrap()) as usize;
        let made = answer.len() - 1;
        assert_eq!(made + refused, 5000, "each push was made or refused");
        assert!(made.abs_diff(expected) < 3, "{made} pushes of {bytes} bytes, expected about {expected}");
        eprintln!("effects: of 5,000 pushes of {bytes} bytes {made} were made and {refused} refused");
        assert_eq!(rig.seen.count(), before + made + 1);
    }
}

#[test]
fn each_request_of_a_batch_may_make_as_much_as_one_alone() {
    let rig = rig();
    let large = vec![b'x'; 2048];
    (0..5).for_each(|_| drop(rig.reply(211, b"warm")));
    let before = rig.seen.count();
    rig.send(requests(&[(CONN.0, 209, 7, &large), (CONN.0, 209, 8, &large), (CONN.0, 209, 9, &large)]));
    let sent = rig.seen.wait(|sent| sent[before..].iter().any(|s| s.seq() == 9)).split_off(before);
    let made: Vec<(i32, usize)> = sent.chunk_by(|a, _| a.seq() == 0).map(|run| (run.last().unwrap().seq(), run.len() - 1)).collect();
    let most = (4 << 20) / (2048 + 24);
    assert_eq!(made, [(7, most), (8, most), (9, most)]);
}

#[test]
fn as_many_pushes_as_a_call_may_make_leave_room_for_its_reply() {
    let rig = rig();
    let answer = rig.call(215, b"");
    assert_eq!(answer.len(), 4097, "{:?}", answer.last());
    eprintln!("effects: 4,096 pushes and their reply");
}

/// Publishes this often to the crowd of 100,000, then replies.
fn crier<const TIMES: usize>(list: &mut [u8], effects: &mut Vec<u8>) {
    for (request, asked) in RequestIter::new(list).enumerate() {
        for _ in 0..TIMES {
            put_effect(effects, &EffectRecord { request, action: Action::Publish { channel: "crowd", route: Route(7), body: b"hear" } });
        }
        put_effect(effects, &EffectRecord { request, action: Action::Reply(asked.body) });
    }
}

#[test]
fn messages_of_one_request_that_reach_too_many_are_refused_and_so_are_none_below() {
    let rig = Rig::new();
    for (name, route, handler) in [("four", 4, crier::<4> as NativeHandler), ("five", 5, crier::<5>), ("most", 6, crier::<4096>)] {
        let manifest = format!(r#"{{"name":"{name}","version":"1","packed":1,"routes":[{{"route":{route}}}]}}"#);
        rig.runtime.serve_native(name, &manifest, handler, PluginOptions { faults_max: 1000, ..PluginOptions::default() }).unwrap();
    }
    assert_eq!(rig.call(4, b"").len(), 5, "400,000 receivers, and the reply");
    assert_eq!(rig.refusal(5, b"").0, ErrorCode::PLUGIN_FAULT);
    assert_eq!(rig.refusal(6, b"").0, ErrorCode::PLUGIN_FAULT);
    // Each request of a batch has as many.
    let before = rig.seen.count();
    let list: Vec<(u64, i32, i32, &[u8])> = (1..101).map(|seq| (CONN.0, 4, seq, b"".as_slice())).collect();
    rig.send(requests(&list));
    let sent = rig.seen.wait_for(before + 500);
    assert!(sent[before..].iter().all(|s| s.code().is_none()));
    eprintln!("effects: 4 messages to 100,000 are taken from each of 100 requests, 5 and 4,096 are refused");
}

#[test]
fn an_import_refuses_what_reaches_too_many() {
    let text = include_str!("../../../testkit/fixtures/gate/gate.wat");
    // Route 305 publishes five times.
    let publish = text.lines().find(|line| line.contains("(call $publish ")).unwrap();
    let rig = Rig::new();
    let file = rig.file("crier.wasm", wat::parse_str(text.replacen(publish, &publish.repeat(5), 1)).unwrap());
    rig.serve(&file, wanting(&[])).unwrap();
    let sent = rig.call(305, &body(0, 7, "crowd", b""));
    // The guest fails with the error of the import, which takes back the four effects made before.
    let [Sent::Error { text, .. }] = &sent[..] else { panic!("{sent:?}") };
    assert!(text.contains("400000 receivers"), "{text}");
    eprintln!("effects: the import took 4 messages to 100,000 and refused the fifth with its reason");
}
