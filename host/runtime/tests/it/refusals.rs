//! Files that are no plugins for this host, one fault each, and what the operator is told.

use std::time::Instant;

use duet_core::RequestKind;
use duet_runtime::{PluginOptions, RuntimeOptions};

use crate::gate::{Lane, gate, wanting};
use crate::rig::{Rig, event, in_one_read, single};

fn patched(from: &[u8], to: &[u8]) -> Vec<u8> {
    replaced(single(), from, to)
}

/// Replaces bytes with as many others wherever they occur.
pub(crate) fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = bytes.windows(from.len()).enumerate().filter(|(_, w)| *w == from).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{from:?} is not there");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

fn configured(config: &str) -> PluginOptions {
    PluginOptions { config: config.parse().unwrap(), ..PluginOptions::default() }
}

#[test]
fn a_component_of_another_world_is_refused_with_what_is_missing() {
    let rig = Rig::new();
    let core = wat::parse_str("(module (func (export \"run\")))").unwrap();
    let empty = wat::parse_str("(component)").unwrap();
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("nothing", Vec::new(), &["not WebAssembly", "cargo build"]),
        ("text", b"(component)".to_vec(), &["not WebAssembly"]),
        ("core", core, &["core WebAssembly module", "wasm-tools component new"]),
        ("empty", empty, &["does not export `duet:plugin/lifecycle@0.1.0`", "no exports"]),
        ("handler", patched(b"duet:plugin/handler@0.1.0", b"duet:plugin/hundler@0.1.0"), &["does not export", "duet:plugin/hundler@0.1.0"]),
        (
            "version",
            patched(b"lifecycle@0.1.0", b"lifecycle@0.2.0"),
            &["duet:plugin/lifecycle@0.1.0", "found: duet:plugin/lifecycle@0.2.0"],
        ),
        (
            "import",
            patched(b"duet:plugin/gateway@0.1.0", b"duet:plugin/sockets@0.1.0"),
            &["imports `duet:plugin/sockets@0.1.0`", "it offers"],
        ),
        ("newer", patched(b"duet:plugin/gateway@0.1.0", b"duet:plugin/gateway@0.2.0"), &["imports `duet:plugin/gateway@0.2.0`"]),
        ("function", patched(b"\x04push", b"\x04pull"), &["does not fit the contract", "pull"]),
        // s32 becomes u32, in the import and in the export.
        (
            "type",
            patched(b"\x05route\x7a", b"\x05route\x79"),
            &[
                "does not fit the contract",
                "it imports `duet:plugin/gateway@0.1.0` with `push: func(conn: u64, route: u32, body: list<u8>) -> result<_, string>`",
                "the host has `push: func(conn: u64, route: s32, body: list<u8>) -> result<_, string>`",
                "it exports `duet:plugin/handler@0.1.0` with `handle: func(conn: u64, uid: s64, route: u32,",
                "; also: ",
            ],
        ),
        ("start", patched(b"\x05start", b"\x05begin"), &["does not fit the contract", "no function `start: func() -> result<_, string>`"]),
    ];
    let count = cases.len();
    for (name, bytes, texts) in cases {
        let file = rig.file(&format!("{name}.wasm"), bytes);
        let refused = rig.serve(&file, PluginOptions::default()).expect_err(name);
        assert!(refused.starts_with(&file.display().to_string()), "{refused}");
        for text in texts {
            assert!(refused.contains(text), "{name}: {text:?} is not in {refused:?}");
        }
    }
    eprintln!("refusals: {count} components of another world, each refused with its reason");
}

#[test]
fn a_handler_of_another_type_is_refused_before_it_serves() {
    let rig = Rig::new();
    // Only the exported handler has a parameter `seq`: its s32 becomes u32.
    let file = rig.file("type.wasm", patched(b"\x03seq\x7a", b"\x03seq\x79"));
    let refused = rig.serve(&file, PluginOptions::default()).expect_err("a wrong type");
    assert!(refused.starts_with(&file.display().to_string()), "{refused}");
    let found = "exports `duet:plugin/handler@0.1.0` with `handle: func(conn: u64, uid: s64, route: s32, seq: u32, body: list<u8>)";
    let needed = "the host has `handle: func(conn: u64, uid: s64, route: s32, seq: s32, body: list<u8>) -> result<list<u8>, string>`";
    assert!(refused.contains(found) && refused.contains(needed), "{refused}");
    assert!(!rig.folder().join("cache").read_dir().unwrap().any(|_| true), "found before anything was compiled");
    eprintln!("refusals: {refused}");
}

#[test]
fn a_later_patch_of_the_contract_is_served() {
    let rig = Rig::new();
    let file = rig.file("later.wasm", patched(b"@0.1.0", b"@0.1.7"));
    rig.serve(&file, PluginOptions::default()).unwrap();
    assert_eq!(rig.reply(211, b"x"), b"x");
    eprintln!("refusals: a plugin built against 0.1.7 is served");
}

#[test]
fn a_plugin_that_does_not_describe_itself_is_refused() {
    let rig = Rig::new();
    let file = rig.file("single.wasm", single());
    let begun = Instant::now();
    for (config, text) in [
        (r#"{"describe":"trap"}"#, "`describe` failed"),
        (r#"{"describe":"loop"}"#, "`describe` ran longer than 1 s"),
        (r#"{"describe":"megabyte"}"#, "`describe` returned 1048576 bytes, the limit is 65,536"),
        (r#"{"manifest":"garbage"}"#, "manifest that cannot be read"),
        (r#"{"manifest":[]}"#, "manifest that cannot be read"),
        (r#"{"manifest":{"name":"x"}}"#, "missing field `version`"),
        (r#"{"manifest":{"name":"x","version":"1","routes":[{"route":1},{"route":1}]}}"#, "route 1 twice"),
        (r#"{"manifest":{"name":"x","version":"1","routes":[{"route":2147483648}]}}"#, "cannot be read"),
    ] {
        let refused = rig.serve(&file, configured(config)).expect_err(config);
        assert!(refused.starts_with(&file.display().to_string()) && refused.contains(text), "{refused}");
        assert!(!refused.contains(char::is_control), "{refused:?}");
    }
    rig.serve(&file, PluginOptions::default()).expect("nothing of those that were refused is left");
    eprintln!("refusals: 8 that do not describe themselves, in {:.0?}", begun.elapsed());
}

#[test]
fn events_that_a_plugin_cannot_get_are_refused() {
    let rig = Rig::new();
    let all = ["connect", "bind", "disconnect", "suspend", "resume"];
    let no_handler = "it lists events, but a plugin with `handler` gets them only if it exports `event-handler`";
    let gate = |from: &[u8], to: &[u8]| replaced(gate(Lane::Sync), from, to);
    let same: &[u8] = b"duet";
    let events = |events: &str| {
        let (before, after) = (r#"{"manifest":{"name":"x","version":"1","routes":[],"events":"#, "}}");
        configured(&format!("{before}{events}{after}"))
    };
    let cases: Vec<(&str, Vec<u8>, PluginOptions, &str)> = vec![
        ("none", single(), events(r#"["connect"]"#), no_handler),
        (
            "unknown",
            gate(same, same),
            wanting(&["connect", "message"]),
            "the event `message`; events are connect, bind, disconnect, suspend",
        ),
        ("case", gate(same, same), wanting(&["Connect"]), "it lists the event `Connect`"),
        ("empty", gate(same, same), wanting(&[""]), "it lists the event ``"),
        ("long", gate(same, same), events(&format!(r#"["{}\u001b[31m"]"#, "x".repeat(63))), r"x\u{1b}`; events are"),
        ("text", gate(same, same), events(r#""connect""#), "manifest that cannot be read"),
        ("number", gate(same, same), events("[1]"), "manifest that cannot be read"),
        ("function", gate(b"\x0chandle-event", b"\x0chundle-event"), wanting(&all), "no function `handle-event: func(kind: u32,"),
        ("version", gate(b"event-handler@0.1.0", b"event-handler@0.2.0"), wanting(&all), no_handler),
        // u32 becomes s32: only the event handler has a parameter `kind`.
        ("type", gate(b"\x04kind\x79", b"\x04kind\x7a"), wanting(&all), "with `handle-event: func(kind: s32, conn: u64"),
    ];
    let count = cases.len();
    for (name, bytes, options, text) in cases {
        let file = rig.file(&format!("{name}.wasm"), bytes);
        let refused = rig.serve(&file, options).expect_err(name);
        assert!(refused.starts_with(&file.display().to_string()) && refused.contains(text), "{name}: {refused}");
        assert!(!refused.contains(char::is_control), "{refused:?}");
    }
    let later = rig.file("later.wasm", gate(b"@0.1.0", b"@0.1.7"));
    rig.serve(&later, wanting(&all)).unwrap();
    rig.send(in_one_read(&[event(RequestKind::Connect, 1, 0, "here")]));
    assert_eq!(rig.seen.wait_for(1).len(), 1);
    eprintln!("refusals: {count} for their events; one built against 0.1.7 has its events");
}

#[test]
fn a_plugin_that_does_not_start_is_refused_and_leaves_its_routes_free() {
    let rig = Rig::new();
    let file = rig.file("single.wasm", single());
    let begun = Instant::now();
    for (config, text) in [
        (r#"{"start":"error"}"#, "`start` answered: does not want to\\u{1b}[0m"),
        (r#"{"start":"trap"}"#, "unreachable"),
        (r#"{"start":"loop"}"#, "does not start: `start` ran longer than 1 s"),
    ] {
        let refused = rig.serve(&file, configured(config)).expect_err(config);
        assert!(refused.starts_with(&file.display().to_string()) && refused.contains(text), "{refused}");
        assert!(!refused.contains(char::is_control), "a guest must not write lines of the log: {refused:?}");
    }
    rig.serve(&file, PluginOptions::default()).expect("the name and the routes are free");
    assert_eq!(rig.reply(211, b"x"), b"x");
    eprintln!("refusals: 3 that do not start, in {:.0?}", begun.elapsed());
}

#[test]
fn everything_that_is_wrong_with_a_component_is_said_at_once() {
    let rig = Rig::with(RuntimeOptions { function_bytes_max: 200, ..RuntimeOptions::default() });
    let wrong = [
        (b"lifecycle@0.1.0".as_slice(), b"lifecycle@0.2.0".as_slice()),
        (b"duet:plugin/log@0.1.0", b"duet:plugin/lug@0.1.0"),
        (b"\x06now-ms", b"\x06now-us"),
        (b"\x03seq\x7a", b"\x03seq\x79"),
    ];
    let bytes = wrong.iter().fold(single(), |bytes, (from, to)| replaced(bytes, from, to));
    let refused = rig.serve(&rig.file("wrong.wasm", bytes), PluginOptions::default()).expect_err("wrong in five ways");
    for text in [
        "does not export `duet:plugin/lifecycle@0.1.0`",
        "imports `duet:plugin/lug@0.1.0`",
        "imports `now-us` of `duet:plugin/clock@0.1.0`, the host has `now-ms`, `monotonic-us` there",
        "seq: u32",
        "the limit is 200",
    ] {
        assert!(refused.contains(text), "{text:?} is not in {refused:?}");
    }
    assert!(!refused.contains(char::is_control), "one line: {refused:?}");
    eprintln!("refusals: {refused}");
}

#[test]
fn a_check_starts_an_instance_and_says_what_is_wrong_with_the_manifest_and_the_start_at_once() {
    let rig = Rig::new();
    let file = rig.file("single.wasm", single());
    let check = |config: &str| rig.runtime.loader().check(&file, configured(config)).map_err(|e| e.reasons());
    assert!(check("{}").is_ok());
    let of_both = check(r#"{"manifest":{"name":"x","version":"1","routes":[{"route":1},{"route":1}]},"start":"loop"}"#).err().unwrap();
    let [manifest, start] = &of_both[..] else { panic!("{of_both:?}") };
    assert!(manifest.contains("route 1 twice") && start.ends_with("`start` ran longer than 1 s"), "{of_both:?}");
    let of_start = check(r#"{"start":"error"}"#).err().unwrap();
    assert!(of_start.len() == 1 && of_start[0].contains("`start` answered: does not want to"), "{of_start:?}");
    eprintln!("check: {of_both:?}");
}

#[test]
fn a_route_that_is_taken_is_found_before_start_is_called() {
    let rig = Rig::with_single(PluginOptions::default());
    let second = rig.file("second.wasm", single());
    let refused = rig.serve(&second, configured(r#"{"start":"loop"}"#)).expect_err("a route that is taken");
    assert!(refused.contains("route 200 is already served by plugin `single`"), "{refused}");
    eprintln!("refusals: {refused}");
}

#[test]
fn a_route_belongs_to_the_first_plugin_and_a_name_to_one() {
    let rig = Rig::new();
    let (first, second) = (rig.file("first.wasm", single()), rig.file("second.wasm", single()));
    rig.serve(&first, PluginOptions::default()).unwrap();
    let refused = rig.serve(&second, PluginOptions::default()).expect_err("a route that is taken");
    assert!(refused.contains("second.wasm") && refused.contains("route 200 is already served by plugin `first`"), "{refused}");
    let refused = rig.serve(&first, PluginOptions::default()).expect_err("a name that is taken");
    assert!(refused.contains("a plugin of that name is loaded already"), "{refused}");
    assert_eq!(rig.reply(211, b"x"), b"x");
    eprintln!("refusals: 2 for a route and a name that were taken");
}

#[test]
fn files_and_functions_above_their_limits_are_refused_unread_and_uncompiled() {
    let rig = Rig::with(RuntimeOptions { file_bytes_max: 64 << 10, function_bytes_max: 200, ..RuntimeOptions::default() });
    let large = rig.file("large.wasm", b"");
    std::fs::File::options().write(true).open(&large).unwrap().set_len(1 << 40).unwrap();
    // Reading it would take longer than anybody waits, and more memory than this machine has.
    let refused = rig.serve(&large, PluginOptions::default()).expect_err("1 TiB");
    assert!(refused.contains("1099511627776 bytes, the limit is 65536"), "{refused}");
    let refused = rig.serve(&rig.file("function.wasm", single()), PluginOptions::default()).expect_err("a large function");
    assert!(refused.contains("the limit is 200") && refused.contains("function"), "{refused}");
    eprintln!("refusals: {refused}");
}
