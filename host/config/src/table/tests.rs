//! Tests of reading keys out of tables.

use std::time::Duration;

use crate::{Document, Report, Table, boolean, choice, duration, integer, list, size, socket_addr, string};

/// Reads a text with `pull` and gives the mistakes, one per line; empty if there is none.
fn mistakes(text: &str, pull: impl FnOnce(&mut Table<'_>)) -> String {
    let report = Report::new();
    let document = Document::toml("duet.toml", text, &report);
    let mut root = document.root();
    pull(&mut root);
    root.finish();
    report.into_result().map_or_else(|m| m.to_string(), |()| String::new())
}

#[test]
fn values_that_are_there_win_over_defaults() {
    let shown = mistakes(
        "text = \"a\"\non = true\nn = 1_000\nhex = 0xff\nsize = \"2KiB\"\nbytes = 7\nwait = \"2m\"\naddress = \"[::1]:80\"\nword = \"b\"",
        |root| {
            assert_eq!(root.get("text", &string()).or("x".into()), "a");
            assert!(root.get("on", &boolean()).or(false));
            assert_eq!(root.get("n", &integer::<u16>()).or(0), 1_000);
            assert_eq!(root.get("hex", &integer::<u8>()).or(0), 255);
            assert_eq!(root.get("size", &size::<u32>()).or(0), 2_048);
            assert_eq!(root.get("bytes", &size::<u64>()).or(0), 7);
            assert_eq!(root.get("wait", &duration()).or(Duration::ZERO), Duration::from_secs(120));
            assert_eq!(root.get("address", &socket_addr()).required().unwrap().port(), 80);
            assert_eq!(root.get("word", &choice(&[("a", 1), ("b", 2)])).or(1), 2);
            assert_eq!(root.get("absent", &integer::<u8>()).or(3), 3);
        },
    );
    assert_eq!(shown, "");
}

#[test]
fn every_wrong_value_is_reported_once_with_line_key_value_and_what_is_allowed() {
    let text = "text = 1\non = \"yes\"\nn = 300\nm = 1.5\nsize = \"2KB\"\nwait = 5\naddress = \":80\"\nword = \"c\"\nnegative = -1\nlist = [1]\ntable = { a = 1 }";
    let shown = mistakes(text, |root| {
        let _ = root.get("text", &string()).or(String::new());
        let _ = root.get("on", &boolean()).or(false);
        let _ = root.get("n", &integer::<u8>()).or(0);
        let _ = root.get("m", &integer::<i32>().range(1..=5)).or(0);
        let _ = root.get("size", &size::<u64>().range(1..=1_048_576)).or(0);
        let _ = root.get("wait", &duration().range(Duration::from_millis(5)..=Duration::from_secs(60))).or(Duration::ZERO);
        let _ = root.get("address", &socket_addr()).required();
        let _ = root.get("word", &choice(&[("a", 1), ("b", 2)])).or(1);
        let _ = root.get("negative", &size::<usize>()).or(0);
        let _ = root.get("list", &string()).or(String::new());
        let _ = root.get("table", &boolean()).or(false);
    });
    let expected = "\
duet.toml:1: text = 1: allowed: strings
duet.toml:2: on = \"yes\": allowed: true, false
duet.toml:3: n = 300: allowed: integers from 0 to 255
duet.toml:4: m = 1.5: allowed: 1 to 5
duet.toml:5: size = \"2KB\": allowed: 1 to 1MiB
duet.toml:6: wait = 5: allowed: 5ms to 1m
duet.toml:7: address = \":80\": allowed: addresses with a port such as \"127.0.0.1:3553\", \"[::1]:3553\"
duet.toml:8: word = \"c\": allowed: a, b
duet.toml:9: negative = -1: allowed: bytes as a number, or sizes such as \"64KiB\", \"1MiB\", \"2GiB\"
duet.toml:10: list = [...]: allowed: strings
duet.toml:11: table = {...}: allowed: true, false";
    assert_eq!(shown, expected);
}

#[test]
fn values_at_both_ends_of_a_range_are_allowed() {
    for (text, allowed) in [("n = 4", false), ("n = 5", true), ("n = 9", true), ("n = 10", false)] {
        let shown = mistakes(text, |root| {
            let _ = root.get("n", &integer::<u32>().range(5..=9)).or(5);
        });
        assert_eq!(shown.is_empty(), allowed, "{text}");
    }
}

#[test]
fn an_unknown_key_is_reported_with_the_name_that_was_meant() {
    let shown = mistakes("adress = 1\nbanana = 2\n[codec]\nx = 1\n\"a b\" = 1", |root| {
        let _ = root.get("address", &integer::<u8>()).or(0);
        let _ = root.get("path", &integer::<u8>()).or(0);
        root.table("codec").finish();
    });
    let expected = "\
duet.toml:1: adress: unknown key, did you mean `address`? allowed: address, path, codec
duet.toml:2: banana: unknown key; allowed: address, path, codec
duet.toml:4: codec.x: unknown key; allowed: none
duet.toml:5: codec.\"a b\": unknown key; allowed: none";
    assert_eq!(shown, expected);
}

#[test]
fn a_missing_required_key_points_at_its_table() {
    let shown = mistakes("[[listener]]\naddress = \"127.0.0.1:1\"\n\n[[listener]]\n", |root| {
        for mut listener in root.tables("listener").unwrap() {
            let _ = listener.get("address", &socket_addr()).required();
            let _ = listener.get("protocol", &choice(&[("tcp", 1), ("ws", 2)])).required();
            listener.finish();
        }
        let _ = root.get("n", &integer::<u8>()).required();
    });
    let expected = "\
duet.toml: n: missing; allowed: integers from 0 to 255
duet.toml:1: listener[0].protocol: missing; allowed: tcp, ws
duet.toml:4: listener[1].address: missing; allowed: addresses with a port such as \"127.0.0.1:3553\", \"[::1]:3553\"
duet.toml:4: listener[1].protocol: missing; allowed: tcp, ws";
    assert_eq!(shown, expected);
}

#[test]
fn something_else_in_place_of_a_table_is_one_mistake() {
    let shown = mistakes("codec = 3\nlist = { a = 1 }\nmixed = [{}, 4]\n[named]\na = 1\nb = {}\n", |root| {
        let mut codec = root.table("codec");
        assert_eq!(codec.get("n", &integer::<u8>()).required(), None);
        let mut inner = codec.table("inner");
        assert_eq!(inner.get("n", &integer::<u8>()).required(), None);
        assert!(root.tables("list").is_none());
        assert_eq!(root.tables("mixed").unwrap().len(), 2);
        let named: Vec<String> = root.named_tables("named").into_iter().map(|(name, _)| name).collect();
        assert_eq!(named, ["a", "b"]);
    });
    let expected = "\
duet.toml:1: codec = 3: allowed: a table, [codec]
duet.toml:2: list = {...}: allowed: tables, each with [[list]]
duet.toml:3: mixed[1] = 4: allowed: a table, [[mixed]]
duet.toml:5: named.a = 1: allowed: a table, [named.NAME]";
    assert_eq!(shown, expected);
}

#[test]
fn named_tables_have_paths_with_quotes_where_needed() {
    let shown = mistakes("[plugin.echo]\nmemory = 1\n[plugin.\"a.b\"]\nmemory = 2\n", |root| {
        for (_, mut plugin) in root.named_tables("plugin") {
            let _ = plugin.get("memory", &integer::<u8>().range(5..=6)).or(5);
            plugin.finish();
        }
    });
    assert_eq!(shown, "duet.toml:2: plugin.echo.memory = 1: allowed: 5 to 6\nduet.toml:4: plugin.\"a.b\".memory = 2: allowed: 5 to 6");
}

#[test]
fn a_place_can_be_used_for_a_check_between_keys() {
    let shown = mistakes("\n[a]\nx = \"2B\"", |root| {
        let mut a = root.table("a");
        let _ = a.get("x", &size::<u8>()).or(1);
        assert!(a.has("x") && !a.has("y"));
        a.mistake("x", "allowed: at most y");
        a.mistake("y", "missing");
        assert_eq!(a.own_place().key, "a");
        a.finish();
    });
    assert_eq!(shown, "duet.toml:2: a.y: missing\nduet.toml:3: a.x = \"2B\": allowed: at most y");
}

#[test]
fn dotted_keys_and_inline_tables_are_tables_too() {
    for text in ["[a]\nb = 1", "a.b = 1", "a = { b = 1 }"] {
        let shown = mistakes(text, |root| {
            let mut a = root.table("a");
            assert_eq!(a.get("b", &integer::<u8>()).or(0), 1);
            a.finish();
        });
        assert_eq!(shown, "");
    }
}

#[test]
fn a_list_is_read_item_by_item_and_the_first_wrong_item_is_named() {
    let digits = || list("digits", |text| text.parse::<u8>().ok(), u8::to_string);
    let shown = mistakes("a = [\"1\", \"2\"]\nb = []\nc = [\n  \"1\",\n  \"x\",\n  \"y\",\n]\nd = \"1\"\ne = [1]", |root| {
        assert_eq!(root.get("a", &digits()).or(Vec::new()), [1, 2]);
        assert_eq!(root.get("b", &digits()).optional(), Some(vec![]));
        assert_eq!(root.get("c", &digits()).or(vec![7]), [7]);
        let _ = root.get("d", &digits()).optional();
        let _ = root.get("e", &digits()).optional();
        assert_eq!(root.get("f", &digits()).optional(), None);
    });
    let expected = "\
duet.toml:5: c[1] = \"x\": allowed: digits
duet.toml:8: d = \"1\": allowed: digits
duet.toml:9: e[0] = 1: allowed: digits";
    assert_eq!(shown, expected);
}
