//! The interfaces `gateway` and `sessions`, through a hand-written plugin that calls each function with the arguments it is given.

use duet_core::{Action, ConnId, Effect, ErrorCode, Origin, Route, Seq, Source, Target, Targets, Uid};
use duet_runtime::PluginOptions;

use crate::rig::{CONN, Rig, Sent};

/// How the plugin is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane {
    Sync,
    /// It imports something that can wait.
    Waiting,
}

pub(crate) const LANES: [Lane; 2] = [Lane::Sync, Lane::Waiting];

/// What the plugin imports to be called in the waiting lane.
const WAITS: &str = r#"(component
  (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $waits (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $waits))))))"#;

/// The plugin that has every function of `gateway` and `sessions` on a route.
pub(crate) fn gate(lane: Lane) -> Vec<u8> {
    let text = include_str!("../../../testkit/fixtures/gate/gate.wat");
    wat::parse_str(match lane {
        Lane::Sync => text.to_owned(),
        Lane::Waiting => text.replacen("(component", WAITS, 1),
    })
    .unwrap()
}

/// Its options: the manifest is part of its configuration.
pub(crate) fn wanting(events: &[&str]) -> PluginOptions {
    let routes: Vec<String> = (300..321).map(|route| format!(r#"{{"route":{route}}}"#)).collect();
    let config = format!(r#"{{"manifest":{{"name":"gate","version":"1","events":{events:?},"routes":[{}]}}}}"#, routes.join(","));
    PluginOptions { config: config.parse().unwrap(), ..PluginOptions::default() }
}

/// A runtime that serves it.
pub(crate) fn rig(lane: Lane, options: PluginOptions) -> Rig {
    let rig = Rig::new();
    let file = rig.file("gate.wasm", gate(lane));
    let loaded = rig.runtime.loader().load(&file, options).unwrap();
    assert_eq!(loaded.waits(), matches!(lane, Lane::Waiting));
    rig.runtime.serve(loaded).unwrap();
    rig
}

/// One that goes out of service with its first fault.
fn strict(lane: Lane) -> Rig {
    rig(lane, PluginOptions { faults_max: 1, ..wanting(&[]) })
}

pub(crate) fn body(id: u64, number: u32, text: impl AsRef<[u8]>, rest: &[u8]) -> Vec<u8> {
    let text = text.as_ref();
    [&id.to_le_bytes(), &number.to_le_bytes()[..], &(text.len() as u32).to_le_bytes(), text, rest].concat()
}

fn ids(list: &[u64]) -> Vec<u8> {
    list.iter().flat_map(|id| id.to_le_bytes()).collect()
}

fn sent(action: Action<'_>) -> Sent {
    Sent::from(&Effect { origin: Origin { index: 0, source: Source::Client { conn: CONN, route: Route(0), seq: Seq(0) } }, action })
}

#[test]
fn every_effect_goes_out_as_it_was_called_and_before_the_reply() {
    let (conns, uids) = (ids(&[5, 6, (1 << 53) - 1]), ids(&[9, 10]));
    let longest = "ö".repeat(127) + "!";
    assert_eq!(longest.len(), 255);
    let (conn, uid) = (Target::Conn(ConnId(6)), Target::Uid(Uid(9)));
    let (route, text) = (Route(-8), b"!".as_slice());
    let negative = (-8i32).cast_unsigned();
    let long = vec![b'x'; 100_000];
    let cases: Vec<(i32, Vec<u8>, Action<'_>)> = vec![
        (300, body(6, negative, "", b"!"), Action::Push { to: conn, route, body: text }),
        (300, body(6, 0, "", b""), Action::Push { to: conn, route: Route(0), body: b"" }),
        (300, body(6, 1, "", &long), Action::Push { to: conn, route: Route(1), body: &long }),
        (301, body(9, negative, "", b"!"), Action::Push { to: uid, route, body: text }),
        (302, body(0, negative, &conns, b"!"), Action::Multicast { to: Targets::new(&conns, false), route, body: text }),
        (302, body(0, negative, "", b"!"), Action::Multicast { to: Targets::new(b"", false), route, body: text }),
        (303, body(0, negative, &uids, b"!"), Action::Multicast { to: Targets::new(&uids, true), route, body: text }),
        (304, body(0, negative, "", b"!"), Action::Broadcast { bound_only: false, route, body: text }),
        (304, body(1, negative, "", b"!"), Action::Broadcast { bound_only: true, route, body: text }),
        (304, body(2, negative, "", b""), Action::Broadcast { bound_only: true, route, body: b"" }),
        (305, body(0, negative, "room", b"!"), Action::Publish { channel: "room", route, body: text }),
        (305, body(0, negative, &longest, b""), Action::Publish { channel: &longest, route, body: b"" }),
        (306, body(6, 0, "r", b""), Action::Subscribe(conn, "r")),
        (306, body(6, 0, &longest, b""), Action::Subscribe(conn, &longest)),
        (307, body(6, 0, "room", b""), Action::Unsubscribe(conn, "room")),
        (307, body(6, 0, "", b""), Action::Unsubscribe(conn, "")),
        (308, body(6, 0, ids(&[9]), b""), Action::Bind(ConnId(6), Uid(9))),
        (308, body(6, 0, i64::MAX.to_le_bytes(), b""), Action::Bind(ConnId(6), Uid(i64::MAX))),
        (309, body(6, 0, "", b""), Action::Unbind(conn)),
        (310, body(6, 0, "", b""), Action::Kick { who: conn, code: ErrorCode::KICKED, text: "", at_once: false }),
        (310, body(6, 65_535, "bye", b""), Action::Kick { who: conn, code: ErrorCode(65_535), text: "bye", at_once: false }),
        (311, body(9, 1000, "Grüße", b""), Action::Kick { who: uid, code: ErrorCode(1000), text: "Grüße", at_once: false }),
    ];
    for lane in LANES {
        let rig = strict(lane);
        for (route, body, action) in &cases {
            let reply = Sent::Message { conn: CONN.0, route: *route, seq: 1, body: Vec::new() };
            assert_eq!(rig.call(*route, body), [sent(*action), reply], "{lane:?}, {route}");
        }
    }
    eprintln!("gateway: {} calls of all 12 functions became what they say, in both lanes", cases.len());
}

#[test]
fn arguments_that_cannot_be_right_are_refused_with_a_text_and_without_effect() {
    let channel = "wrong channel: a channel's name has 1 to 255 bytes";
    let uid = "a uid is above 0";
    let targets = |bytes: usize| format!("a list of targets has 8 bytes for each, this one has {bytes}");
    let too_long = "x".repeat(256);
    let mut cases: Vec<(i32, Vec<u8>, String)> = vec![
        (305, body(0, 8, "", b"!"), channel.into()),
        (305, body(0, 8, &too_long, b"!"), channel.into()),
        (306, body(6, 0, "", b""), channel.into()),
        (306, body(6, 0, &too_long, b""), channel.into()),
        (307, body(6, 0, &too_long, b""), channel.into()),
        (308, body(6, 0, 0i64.to_le_bytes(), b""), uid.into()),
        (308, body(6, 0, (-1i64).to_le_bytes(), b""), uid.into()),
        (308, body(6, 0, i64::MIN.to_le_bytes(), b""), uid.into()),
        (310, body(6, 65_536, "bye", b""), "65536 is not an error code; allowed: 0 to 65,535".into()),
        (311, body(9, u32::MAX, "bye", b""), "4294967295 is not an error code".into()),
    ];
    for bytes in [1, 7, 9, 15] {
        cases.extend([302, 303].map(|route| (route, body(0, 8, vec![0; bytes], b"!"), targets(bytes))));
    }
    for lane in LANES {
        let rig = strict(lane);
        for (route, body, expected) in &cases {
            let (code, text) = rig.refusal(*route, body);
            assert_eq!(code, ErrorCode::HANDLER, "{route} {text}");
            assert!(text.contains(expected), "{route}: {expected:?} is not in {text:?}");
        }
        assert_eq!(rig.reply(319, b"well"), b"well", "nothing of it is a fault");
    }
    eprintln!("gateway: {} calls refused with their reason, in both lanes", cases.len());
}

#[test]
fn text_that_is_not_utf8_and_lists_outside_of_memory_are_faults() {
    let rig = rig(Lane::Sync, PluginOptions { faults_max: 1000, ..wanting(&[]) });
    let mut count = 0;
    for route in [305, 306, 307, 310, 311, 317, 318] {
        assert_eq!(rig.refusal(route, &body(6, 8, b"\xffroom", b"")).0, ErrorCode::PLUGIN_FAULT, "{route}");
        count += 1;
    }
    for route in [302, 303, 305, 306, 307, 310, 311, 317, 318] {
        for claimed in [u32::MAX, 1 << 31, 64 << 20] {
            let mut outside = body(6, 8, "room", b"");
            outside[12..16].copy_from_slice(&claimed.to_le_bytes());
            assert_eq!(rig.refusal(route, &outside).0, ErrorCode::PLUGIN_FAULT, "{route} {claimed}");
            count += 1;
        }
    }
    assert_eq!(rig.reply(319, b"well"), b"well");
    eprintln!("gateway: {count} calls with text or lists that are none trapped");
}

#[test]
fn look_ups_say_what_the_gate_knows() {
    let number = |n: u64| n.to_le_bytes().to_vec();
    let crowd: Vec<u64> = (7..7 + 65_536).collect();
    let cases: Vec<(i32, Vec<u8>, Vec<u8>)> = vec![
        (312, body(70, 0, "", b""), 1u32.to_le_bytes().to_vec()),
        (312, body(71, 0, "", b""), 2u32.to_le_bytes().to_vec()),
        (312, body(72, 0, "", b""), 0u32.to_le_bytes().to_vec()),
        (312, body(u64::MAX, 0, "", b""), 0u32.to_le_bytes().to_vec()),
        (313, body(70, 0, "", b""), number(7)),
        (313, body(71, 0, "", b""), number(0)),
        (314, body(7, 0, "", b""), number(70)),
        (314, body(8, 0, "", b""), number(0)),
        (315, body(7, 0, "", b""), b"192.0.2.7:77".to_vec()),
        (315, body(8, 0, "", b""), b"[2001:db8::1]:4711".to_vec()),
        (316, body(0, 0, "", b""), number(100_000)),
        (316, body(0, 1, "", b""), number(2)),
        (316, body(0, 2, "", b""), number(1)),
        (316, body(0, 3, "", b""), number(0)),
        (316, body(0, u32::MAX, "", b""), number(0)),
        (317, body(0, 0, "room", b""), number(3)),
        (317, body(0, 0, "crowd", b""), number(100_000)),
        (317, body(0, 0, "", b""), number(0)),
        (318, body(0, 0, "room", b""), ids(&[])),
        (318, body(0, 2, "room", b""), ids(&[7, 8])),
        (318, body(0, u32::MAX, "room", b""), ids(&[7, 8, 9])),
        (318, body(0, 9, "empty", b""), ids(&[])),
        (318, body(0, u32::MAX, "crowd", b""), ids(&crowd)),
    ];
    for lane in LANES {
        let rig = strict(lane);
        for (route, body, expected) in &cases {
            assert!(rig.reply(*route, body) == *expected, "{lane:?}, {route} {body:?}");
        }
        assert_eq!(rig.refusal(315, &body(9, 0, "", b"")), (ErrorCode::HANDLER, "gone".to_owned()));
    }
    eprintln!("sessions: {} look-ups of all 7 functions and an address of nobody, in both lanes", cases.len());
}
