//! What the imports promise (`wit/imports.wit`), through the hand-written plugin.

use std::time::{SystemTime, UNIX_EPOCH};

use duet_core::ErrorCode;
use duet_runtime::PluginOptions;

use crate::rig::Rig;

fn rig() -> Rig {
    let config = r#"{"name":"forest","shop":{"prices":{"axe":[1,2]},"open":true},"a.b":1}"#;
    Rig::with_single(PluginOptions { config: config.parse().unwrap(), faults_max: 1000, ..PluginOptions::default() })
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

#[test]
fn config_gives_json_and_dots_go_into_tables() {
    let rig = rig();
    for (key, value) in [("name", r#""forest""#), ("shop.prices.axe", "[1,2]"), ("shop.prices", r#"{"axe":[1,2]}"#), ("shop.open", "true")]
    {
        assert_eq!(String::from_utf8(rig.reply(200, key.as_bytes())).unwrap(), value, "{key}");
    }
    for key in ["", "nothing", "shop.nothing", "name.deeper", "shop..prices", "shop.prices.axe.0"] {
        assert_eq!(rig.refusal(200, key.as_bytes()), (ErrorCode::HANDLER, "none".to_owned()), "{key}");
    }
    eprintln!("config: 4 keys found, 6 refused");
}

#[test]
fn the_clock_gives_the_time_and_one_that_never_goes_back() {
    let rig = rig();
    let mut last = 0;
    for _ in 0..100 {
        let before = now_ms();
        let both = rig.reply(201, b"");
        let (now, monotonic) = both.split_at(8);
        let now = u64::from_le_bytes(now.try_into().unwrap());
        let monotonic = u64::from_le_bytes(monotonic.try_into().unwrap());
        assert!((before..=now_ms()).contains(&now), "{now} is not now, {before}");
        assert!(monotonic >= last, "{monotonic} after {last}");
        last = monotonic;
    }
    assert!(last > 0);
    eprintln!("clock: 100 readings, each the host's time and none going back");
}

#[test]
fn random_bytes_are_as_many_as_asked_for_and_more_than_65_536_trap() {
    let rig = rig();
    for count in [0_u32, 1, 31, 65_536] {
        let bytes = rig.reply(202, &count.to_le_bytes());
        assert_eq!(bytes.len(), count as usize);
        if count > 30 {
            assert_ne!(bytes, rig.reply(202, &count.to_le_bytes()));
            assert!(bytes.iter().any(|b| *b != 0));
        }
    }
    for count in [65_537_u32, u32::MAX] {
        assert_eq!(rig.refusal(202, &count.to_le_bytes()).0, ErrorCode::PLUGIN_FAULT);
    }
    let (mut any, mut all) = (0, u32::MAX);
    for _ in 0..64 {
        let number = u32::from_le_bytes(rig.reply(203, b"").try_into().unwrap());
        (any, all) = (any | number, all & number);
    }
    assert_eq!((any, all), (u32::MAX, 0), "every bit is sometimes 1 and sometimes 0");
    eprintln!("random: 4 lengths given, 2 too large trapped, 64 numbers use all 32 bits");
}

#[test]
fn text_is_decoded_with_replacement_and_encoded_as_it_is() {
    let rig = rig();
    for (bytes, text) in [
        (b"plain".as_slice(), "plain"),
        ("Grüße \u{1f332}".as_bytes(), "Grüße \u{1f332}"),
        (b"a\xff\xfeb", "a\u{fffd}\u{fffd}b"),
        (b"cut \xe2\x82", "cut \u{fffd}"),
        (b"nul\0", "nul\0"),
        (b"", ""),
    ] {
        assert_eq!(String::from_utf8(rig.reply(204, bytes)).unwrap(), text);
    }
    let long = "ö".repeat(30_000);
    for text in ["", "plain", "Grüße \u{1f332}", &long] {
        assert_eq!(rig.reply(205, text.as_bytes()), text.as_bytes());
    }
    assert_eq!(rig.refusal(205, b"\xff").0, ErrorCode::PLUGIN_FAULT, "a string that is not UTF-8 is a fault of the guest");
    eprintln!("text: 6 decoded, 4 encoded, 1 string that was none trapped");
}

#[test]
fn log_takes_any_level_and_text() {
    let rig = rig();
    for line in [b"\x00zero".as_slice(), b"\x01error", b"\x05trace", b"\xffother", b"\x03two\nlines\x1b[31m", b"\x03"] {
        assert_eq!(rig.reply(208, line), b"");
    }
    let long = [b"\x05".as_slice(), &[b'x'; 60_000]].concat();
    assert_eq!(rig.reply(208, &long), b"");
    assert_eq!(rig.refusal(208, b"\x03\xff").0, ErrorCode::PLUGIN_FAULT);
    eprintln!("log: 7 lines taken, 1 that is not UTF-8 trapped");
}
