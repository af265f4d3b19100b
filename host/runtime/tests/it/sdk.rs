//! A component that the SDK built: the lobby of the tests, with its accounts, channels and events.

use duet_core::RequestKind::{Bind, Connect, Disconnect, Resume, Suspend};
use duet_core::{Action, ConnId, Effect, Origin, Route, Seq, Source, Target, Targets, Uid};
use duet_runtime::PluginOptions;

use crate::rig::{CONN, Rig, Sent, event, in_one_read, requests};

fn lobby() -> Rig {
    let rig = Rig::new();
    let loaded = rig.runtime.loader().load(&duet_testkit::guest("duet-lobby"), PluginOptions::default()).unwrap();
    assert!(loaded.batch && !loaded.waits());
    assert_eq!(loaded.manifest.events(), [Connect, Bind, Disconnect, Suspend, Resume]);
    rig.runtime.serve(loaded).unwrap();
    rig
}

fn sent(action: Action<'_>) -> Sent {
    Sent::from(&Effect { origin: Origin { index: 0, source: Source::Client { conn: CONN, route: Route(0), seq: Seq(0) } }, action })
}

fn replied(route: i32, body: &str) -> Sent {
    Sent::Message { conn: CONN.0, route, seq: 1, body: body.as_bytes().to_vec() }
}

#[test]
fn the_lobby_does_what_its_routes_say() {
    let rig = lobby();
    let conn = Target::Conn(ConnId(7));
    let hi = br#"{"text":"hi"}"#;
    let many = [7u64, 8].map(u64::to_le_bytes).concat();
    let push = |to| Action::Push { to, route: Route(100), body: hi };
    let cases: Vec<(i32, &str, Vec<Action<'_>>, &str)> = vec![
        (1, r#"{"uid":9}"#, vec![Action::Bind(CONN, Uid(9))], r#"{"uid":9,"conn":5}"#),
        (2, "", vec![Action::Unbind(Target::Conn(CONN))], "{}"),
        (4, r#"{"conn":7,"text":"hi"}"#, vec![push(conn)], "{}"),
        (4, r#"{"uid":70,"text":"hi"}"#, vec![push(Target::Uid(Uid(70)))], "{}"),
        (
            5,
            r#"{"conns":[7,8],"text":"hi"}"#,
            vec![Action::Multicast { to: Targets::new(&many, false), route: Route(101), body: hi }],
            "{}",
        ),
        (6, r#"{"text":"hi"}"#, vec![Action::Broadcast { bound_only: false, route: Route(102), body: hi }], "{}"),
        (6, r#"{"bound":true,"text":"hi"}"#, vec![Action::Broadcast { bound_only: true, route: Route(102), body: hi }], "{}"),
        (7, r#"{"channel":"room"}"#, vec![Action::Subscribe(Target::Conn(CONN), "room")], "{}"),
        (8, r#"{"channel":""}"#, vec![Action::Unsubscribe(Target::Conn(CONN), "")], "{}"),
        (9, r#"{"channel":"room","text":"hi"}"#, vec![Action::Publish { channel: "room", route: Route(103), body: hi }], "{}"),
        (
            10,
            r#"{"conn":7,"code":1001,"reason":"bye","now":true}"#,
            vec![Action::Kick { who: conn, code: duet_core::ErrorCode(1001), text: "bye", at_once: true }],
            "{}",
        ),
        (11, r#"{"uid":70}"#, vec![], r#"{"online":1,"conn":7}"#),
        (11, r#"{"uid":71}"#, vec![], r#"{"online":2,"conn":0}"#),
        (12, "", vec![], r#"{"connections":100000,"bound":2,"suspended":1}"#),
        (13, r#"{"channel":"room"}"#, vec![], r#"{"count":3,"members":[7,8,9]}"#),
        (
            20,
            r#"{"uid":9,"text":"hi"}"#,
            vec![
                Action::Bind(CONN, Uid(9)),
                Action::Publish { channel: "all", route: Route(103), body: hi },
                Action::Push { to: Target::Conn(CONN), route: Route(100), body: hi },
            ],
            r#"{"uid":9,"conn":5}"#,
        ),
    ];
    for (route, body, actions, reply) in &cases {
        let expected: Vec<Sent> = actions.iter().map(|action| sent(*action)).chain([replied(*route, reply)]).collect();
        assert_eq!(rig.call(*route, body.as_bytes()), expected, "{route} {body}");
    }
    assert_eq!(rig.refusal(19, b"").1, "failed on purpose", "and nothing of what it did before");
    eprintln!("sdk: {} calls of the lobby, their effects before the reply", cases.len());
}

#[test]
fn the_lobby_hears_of_connections() {
    let rig = lobby();
    rig.send(in_one_read(&[event(Connect, 7, 0, "192.0.2.1:80"), event(Bind, 7, 9, ""), event(Suspend, 7, 9, "lost")]));
    rig.send(in_one_read(&[event(Resume, 7, 9, "[2001:db8::1]:81"), event(Disconnect, 7, 9, "silence")]));
    let seen = |kind: &str, uid, detail: &str| format!(r#"{{"kind":"{kind}","conn":7,"uid":{uid},"detail":"{detail}"}}"#);
    let expected = [
        seen("connect", 0, "192.0.2.1:80"),
        seen("bind", 9, ""),
        seen("suspend", 9, "lost"),
        seen("resume", 9, "[2001:db8::1]:81"),
        seen("disconnect", 9, "silence"),
    ];
    assert_eq!(String::from_utf8(rig.reply(16, b"")).unwrap(), format!("[{}]", expected.join(",")));
    assert_eq!(rig.seen.count(), 1, "none of the events is answered");
    eprintln!("sdk: the lobby heard of 5 events and answered none");
}

#[test]
fn lists_of_any_size_follow_each_other_and_strings_of_the_host_come_between() {
    let rig = lobby();
    let message = |route, seq, body: &[u8]| Sent::Message { conn: 7, route, seq, body: body.to_vec() };
    for bytes in [0, 1, 20 << 10, 300 << 10, 7, 1 << 20, 100, 0] {
        let body: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
        let before = rig.seen.count();
        rig.send(requests(&[(7, 3, 1, b""), (7, 18, 2, &body), (7, 3, 3, b"")]));
        let sent = rig.seen.wait(|sent| sent.len() == before + 3).split_off(before);
        let whoami = br#"{"conn":7,"uid":0,"address":"192.0.2.7:77"}"#;
        assert!(sent == [message(3, 1, whoami), message(18, 2, &body), message(3, 3, whoami)], "{bytes} bytes");
    }
}
