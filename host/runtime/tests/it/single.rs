//! A plugin of the world `game-single`: one call for each message.

use duet_core::{ConnId, ErrorCode, Request, RequestKind, Requests, Route, Seq, Uid};
use duet_runtime::PluginOptions;

use crate::rig::{CONN, Rig, Sent, requests, single};

#[test]
fn a_plain_handler_gets_what_the_client_sent() {
    let rig = Rig::with_single(PluginOptions::default());
    for (uid, expected) in [(None, 0), (Some(Uid(9)), 9), (Some(Uid(i64::MAX)), i64::MAX)] {
        let before = rig.seen.count();
        let mut list = Requests::default();
        list.push(&Request {
            kind: RequestKind::Message,
            conn: ConnId((1 << 53) - 1),
            uid,
            route: Route(214),
            seq: Seq(-3),
            key: None,
            body: b"body",
        });
        rig.send(list);
        let sent = rig.seen.wait_for(before + 1).pop().unwrap();
        let ids = [(1_u64 << 53) - 1, i64::cast_unsigned(expected)].map(u64::to_le_bytes).concat();
        let body = [ids, [214_i32, -3].map(i32::to_le_bytes).concat()].concat();
        assert_eq!(sent, Sent::Message { conn: (1 << 53) - 1, route: 214, seq: -3, body });
    }
    eprintln!("plain handler: 3 messages came as they were sent");
}

#[test]
fn a_plain_handler_replies_fails_and_keeps_its_memory() {
    let rig = Rig::with_single(PluginOptions::default());
    assert_eq!(rig.reply(211, b"echo"), b"echo");
    assert_eq!(rig.reply(211, b""), b"");
    let large = vec![7; 64 << 10];
    for _ in 0..100 {
        assert_eq!(rig.reply(211, &large), large);
    }
    assert_eq!(rig.refusal(210, b""), (ErrorCode::HANDLER, "no".to_owned()));
    for count in 1_u32..4 {
        assert_eq!(rig.reply(212, b""), count.to_le_bytes());
    }
    eprintln!("plain handler: 102 replies, 1 error, 3 counted");
}

#[test]
fn an_error_of_a_plain_handler_takes_the_effects_of_its_message_with_it() {
    let rig = Rig::with_single(PluginOptions::default());
    assert_eq!(rig.refusal(216, b"never seen"), (ErrorCode::HANDLER, "no".to_owned()));
    assert_eq!(rig.call(206, b"seen").len(), 2, "a push and its reply");
    // Of a batch only what belongs to the failed one is gone.
    let list: Vec<(u64, i32, i32, &[u8])> =
        (1..61).map(|seq| (CONN.0, if seq % 3 == 0 { 216 } else { 206 }, seq, b"x".as_slice())).collect();
    let before = rig.seen.count();
    rig.send(requests(&list));
    rig.idle();
    let sent = rig.seen.wait_for(before).split_off(before);
    let (errors, pushes) = (sent.iter().filter(|s| s.code().is_some()).count(), sent.iter().filter(|s| s.seq() == 0).count());
    assert_eq!((errors, pushes, sent.len()), (20, 40, 100));
    eprintln!("plain handler: 21 errors, none with an effect beside it");
}

#[test]
fn a_plain_handler_chooses_the_code_of_its_error() {
    let rig = Rig::with_single(PluginOptions::default());
    for code in [1_u16, 1000, 4711, u16::MAX] {
        assert_eq!(rig.refusal(217, &u32::from(code).to_le_bytes()), (ErrorCode(code), "no".to_owned()));
    }
    for code in [0, 65_536, u32::MAX] {
        assert_eq!(rig.refusal(217, &code.to_le_bytes()).0, ErrorCode::HANDLER, "{code} is none");
    }
    assert_eq!(rig.refusal(210, b"").0, ErrorCode::HANDLER, "a code counts for one message");
    eprintln!("plain handler: 4 codes of its own, 3 refused");
}

#[test]
fn messages_that_wait_together_are_answered_in_order() {
    let rig = Rig::with_single(PluginOptions::default());
    let list: Vec<(u64, i32, i32, &[u8])> = (1..1001).map(|seq| (CONN.0, 212, seq, b"".as_slice())).collect();
    rig.send(requests(&list));
    for (at, sent) in (1_i32..).zip(rig.seen.wait_for(1000)) {
        assert_eq!(sent, Sent::Message { conn: CONN.0, route: 212, seq: at, body: at.to_le_bytes().to_vec() });
    }
    eprintln!("plain handler: 1,000 messages at once, handled in order");
}

#[test]
fn a_trap_takes_the_memory_of_its_instance_with_it() {
    let rig = Rig::with_single(PluginOptions { faults_max: 1000, ..PluginOptions::default() });
    for _ in 0..3 {
        assert_eq!(rig.reply(212, b""), 1_u32.to_le_bytes());
        assert_eq!(rig.reply(212, b""), 2_u32.to_le_bytes());
        assert_eq!(rig.refusal(207, b"").0, ErrorCode::PLUGIN_FAULT);
    }
    eprintln!("trap: the counter began anew after each of 3");
}

/// The server's tests use the component without this crate's encoder. Run with `DUET_BLESS=1` to write it again.
#[test]
fn the_component_beside_the_text_is_up_to_date() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../testkit/fixtures/single/single.component");
    if std::env::var_os("DUET_BLESS").is_some() {
        std::fs::write(file, single()).unwrap();
    }
    assert!(std::fs::read(file).unwrap() == single(), "single.component is not what single.wat says: run with DUET_BLESS=1");
}
