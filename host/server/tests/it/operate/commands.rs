//! `duet plugin`: list, swap, rollback, log.

use std::fs;

use duet_testkit::{Server, counter};
use serde_json::Value;

use super::{KEPT, ROUTES, ask, count, count_until, counting, refused, told, told_json, version};
use crate::program::Place;

/// Only what these tests do changes anything.
const UNWATCHED: &str = "watch_plugins = false";

fn put(server: &Server, name: &str, component: &[u8]) {
    fs::write(server.folder().join(name), component).unwrap();
}

fn hash(server: &Server) -> String {
    told_json(server, &["list"])["plugins"][0]["hash"].as_str().unwrap().to_owned()
}

#[test]
fn a_plugin_is_replaced_and_gone_back_from_while_a_client_stays_connected() {
    let (server, mut peer) = counting(UNWATCHED);
    assert_eq!(count(&mut peer), (1, 1));
    put(&server, "new.wasm", &version(2));
    let first = hash(&server);
    let said = told(&server, &["swap", "counter", "new.wasm"]);
    let second = hash(&server);
    let (old, new) = (&first[..12], &second[..12]);
    assert!(said.starts_with(&format!("counter 2 ({new}) serves instead of 1 ({old}); state kept (8 B), pause ")), "{said}");
    assert!(said.contains("the file was not copied") && said.contains("plugins/counter.wasm"), "{said}");
    assert_eq!(count(&mut peer), (2, 2));
    let list = told(&server, &["list"]);
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..5], ["PLUGIN", "VERSION", "HASH", "SINCE", "STATE"], "{list}");
    assert_eq!((&lines[1][..3], lines.len()), (["counter", "2", new].as_slice(), 2), "{list}");
    let said = told(&server, &["rollback", "counter"]);
    assert!(said.starts_with(&format!("counter 1 ({old}) serves instead of 2 ({new}); state kept")), "{said}");
    assert_eq!(count(&mut peer), (3, 1));
    told(&server, &["rollback", "counter", new]);
    assert_eq!(count(&mut peer), (4, 2));
    let log = told_json(&server, &["log", "counter"]);
    let changes: Vec<(&str, &str)> =
        log["changes"].as_array().unwrap().iter().map(|c| (c["what"].as_str().unwrap(), c["version"].as_str().unwrap())).collect();
    assert_eq!(changes, [("rolled back", "2"), ("rolled back", "1"), ("swapped", "2"), ("served", "1")]);
    assert_eq!(told(&server, &["log", "counter"]).lines().count(), 5);
    // Nothing that was asked cost the client its connection, nor the server its end.
    assert_eq!(count(&mut peer), (5, 2));
    server.stop();
}

#[test]
fn json_says_what_the_table_does_and_more() {
    let (server, mut peer) = counting(UNWATCHED);
    for _ in 0..3 {
        count(&mut peer);
    }
    assert!(peer.call(4, b"").is_err());
    let list = told_json(&server, &["list"]);
    let plugin = &list["plugins"][0];
    assert_eq!(
        (&plugin["name"], &plugin["version"], &plugin["calls"], &plugin["errors"]),
        (&Value::from("counter"), &Value::from("1"), &Value::from(4), &Value::from(1))
    );
    let route = |number: i32| plugin["routes"].as_array().unwrap().iter().find(|route| route["route"] == number).unwrap().clone();
    assert_eq!((&route(1)["requests"], &route(4)["errors"]), (&Value::from(3), &Value::from(1)));
    assert!(plugin["memory_bytes"].as_u64().unwrap() >= 4 * 65_536 && plugin["since_ms"].as_u64().unwrap() > 0, "{plugin}");
    put(&server, "bad.wasm", b"not a component");
    let (code, out, error) = ask(server.folder(), &["swap", "counter", "bad.wasm", "--json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["error"]["code"]), (Some(1), &Value::from("refused")));
    assert_eq!(error, format!("duet: {}\n", answer["error"]["text"].as_str().unwrap()));
}

#[test]
fn what_is_refused_changes_nothing_and_says_why() {
    let (server, mut peer) = counting(UNWATCHED);
    assert_eq!(count(&mut peer), (1, 1));
    put(&server, "bad.wasm", b"not a component");
    put(&server, "fewer.wasm", &counter(2, &ROUTES[1..], KEPT, &[]));
    put(&server, "traps.wasm", &counter(3, &ROUTES, KEPT, &[("RESTORE", "unreachable")]));
    put(&server, "other.wasm", &counter(4, &ROUTES, Some(r#"{"schema":2}"#), &[]));
    put(&server, "new.wasm", &version(5));
    refused(&server, &["swap", "counter", "bad.wasm"], "bad.wasm");
    refused(&server, &["swap", "counter", "nowhere.wasm"], "nowhere.wasm");
    refused(&server, &["swap", "counter", "fewer.wasm"], "lacks route 1");
    refused(&server, &["swap", "counter", "traps.wasm"], "the state of instance 0");
    refused(&server, &["swap", "counter", "other.wasm"], "schema 1");
    refused(&server, &["swap", "conter", "new.wasm"], "no plugin `conter` serves; these do: counter");
    refused(&server, &["swap", "../counter"], "cannot be the name");
    refused(&server, &["rollback", "counter"], "no version");
    refused(&server, &["rollback", "nobody"], "no plugin `nobody`");
    refused(&server, &["log", "nobody"], "no plugin `nobody`");
    assert_eq!(count(&mut peer), (2, 1));
    let log = told(&server, &["log", "counter"]);
    assert!(log.contains("refused") && log.contains("lacks route 1"), "{log}");
    // By force it matters neither that a route goes away nor that the state does.
    told(&server, &["swap", "counter", "other.wasm", "--force"]);
    assert_eq!(count(&mut peer), (1, 4));
    told(&server, &["swap", "counter", "fewer.wasm", "--force"]);
    assert!(peer.call(1, b"").is_err());
}

#[test]
fn without_a_file_the_one_in_the_folder_is_taken_with_its_settings() {
    let (server, mut peer) = counting(UNWATCHED);
    assert_eq!(count(&mut peer), (1, 1));
    put(&server, "plugins/counter.wasm", &version(2));
    let said = told(&server, &["swap", "counter"]);
    assert!(!said.contains("note"), "{said}");
    assert_eq!(count(&mut peer), (2, 2));
    put(&server, "plugins/counter.toml", b"call_buget = \"1s\"\n");
    refused(&server, &["swap", "counter"], "did you mean `call_budget`");
    put(&server, "plugins/counter.toml", b"enabled = false\n");
    refused(&server, &["swap", "counter"], "switched off");
    put(&server, "plugins/second.wasm", &counter(7, &[70], None, &[]));
    assert!(told(&server, &["swap", "second"]).starts_with("second 7 ("));
    assert!(peer.call(70, b"").is_ok());
    assert_eq!(count(&mut peer), (3, 2));
}

#[test]
fn a_hangup_has_the_folder_looked_through_again() {
    let (server, mut peer) = counting(UNWATCHED);
    put(&server, "plugins/counter.wasm", &version(2));
    put(&server, "plugins/second.wasm", b"half");
    server.send_hangup();
    let last = count_until(&mut peer, 0, 2);
    super::wait_until("refused", &server, || told(&server, &["list"]).contains("refused     second.wasm"));
    // What was refused is tried again, although its file is as it was.
    let refusals = || server.log().lines().filter(|line| line.contains("plugin refused: plugins/second.wasm")).count();
    let before = refusals();
    server.send_hangup();
    super::wait_until("tried again", &server, || refusals() > before);
    assert_eq!(count(&mut peer), (last + 1, 2));
}

#[test]
fn where_no_server_is_the_command_says_where_it_looked() {
    let place = Place::warm("");
    let (code, out, error) = ask(&place.path(""), &["list"]);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    let looked = fs::canonicalize(place.path("")).unwrap().join(".duet/control.sock");
    assert!(error.contains(looked.to_str().unwrap()) && error.contains("--control"), "{error}");
    let (code, _, error) = ask(&place.path(""), &["list", "--control", "other.sock"]);
    assert!(code == Some(3) && error.contains("other.sock"), "{code:?} {error}");
    fs::write(place.path("off.toml"), "control = \"\"\n").unwrap();
    let (code, _, error) = ask(&place.path(""), &["list", "--config", "off.toml"]);
    assert!(code == Some(1) && error.contains("control = \"\""), "{code:?} {error}");
    fs::write(place.path("long.toml"), format!("control = \"{}\"\n", "x".repeat(108))).unwrap();
    let (code, _, error) = ask(&place.path(""), &["list", "--config", "long.toml"]);
    assert!(code == Some(1) && error.contains("at most 107 bytes"), "{code:?} {error}");
    let (code, _, error) = ask(&place.path(""), &["list", "--control", &"x".repeat(108)]);
    assert!(code == Some(3) && error.contains("xxx"), "{code:?} {error}");
    assert_eq!(ask(&place.path(""), &["explode"]).0, Some(2));
}
