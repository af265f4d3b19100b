//! Tests of the settings: defaults, every kind of mistake, the documented example.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use duet_codec::{ByteOrder, Profile};
use duet_config::Mistake;
use duet_core::Route;
use duet_gateway::{GatewayOptions, LimitOptions, MemoryOptions, Overflow, RoutePolicy, SessionOptions};
use duet_runtime::{Affinity, Instances, PluginOptions};
use duet_session::{DuplicateLogin, Heartbeat, SessionLimits, Timeouts};
use duet_transport::{GuardOptions, KcpOptions, Networks};

use super::gate::ClientSettings;
use super::*;

mod documented;
mod listeners;
mod mistakes;

const EXAMPLE: &str = include_str!("../../duet.example.toml");

/// The example with what it has behind a hash.
fn everything() -> String {
    let line = |line: &'static str| line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' ')).unwrap_or(line);
    EXAMPLE.lines().map(|text| format!("{}\n", line(text))).collect()
}

fn mistakes(text: &str) -> Vec<Mistake> {
    Settings::parse("duet.toml", text).err().map(|m| m.iter().cloned().collect()).unwrap_or_default()
}

#[test]
fn without_a_file_and_with_an_empty_file_the_defaults_hold() {
    assert_eq!(Settings::load(None).unwrap(), Settings::default());
    assert_eq!(Settings::parse("duet.toml", "").unwrap(), Settings::default());
    assert_eq!(Settings::parse("duet.toml", "[codec]\n[gateway]\n[runtime]\n[log]\n").unwrap(), Settings::default());
}

#[test]
fn the_defaults_listen_on_loopback_only() {
    let listeners = Settings::default().listeners;
    let found: Vec<_> = listeners.iter().map(|l| (l.protocol, l.address.to_string())).collect();
    assert_eq!(found, [(Protocol::Ws, "127.0.0.1:3553".into()), (Protocol::Tcp, "127.0.0.1:3554".into())]);
}

#[test]
fn the_example_says_exactly_the_defaults() {
    let mut settings = Settings::parse("duet.example.toml", EXAMPLE).unwrap();
    assert_eq!(settings.plugin.remove("echo"), Some(PluginSettings::default()));
    assert_eq!(settings, Settings::default());
}

#[test]
fn every_known_key_is_in_the_example() {
    let unknown = "x = 1\n[log]\nx = 1\n[codec]\nx = 1\n[gateway]\nx = 1\n[limits]\nx = 1\n[runtime]\nx = 1\n[plugin.p]\nx = 1\n\
                   [close_codes]\nx = 1\n[[route]]\nroute = 1\nx = 1\n[[channel]]\nprefix = \"\"\noverflow = \"close\"\nx = 1\n\
                   [[listener]]\nprotocol = \"kcp\"\naddress = \"[::1]:1\"\nx = 1\n[listener.kcp]\nx = 1\n";
    let found = mistakes(unknown);
    assert_eq!(found.len(), 12, "{found:#?}");
    let everything = everything();
    for mistake in found {
        let (_, known) = mistake.problem.split_once("allowed: ").unwrap();
        for key in known.split(", ") {
            let written = |line: &str| {
                line.starts_with(&format!("{key} = "))
                    || line.starts_with(&format!("[{key}"))
                    || line.starts_with(&format!("[[{key}"))
                    || (line.starts_with('[') && line.contains(&format!(".{key}]")))
            };
            assert!(everything.lines().any(written), "{key} of {}", mistake.place.key);
        }
    }
}

#[test]
fn what_the_example_has_behind_a_hash_is_allowed_and_of_kcp_the_defaults() {
    let settings = Settings::parse("duet.example.toml", &everything()).unwrap();
    let [_, _, tls, kcp] = settings.listeners.as_slice() else {
        panic!("{:#?}", settings.listeners);
    };
    let address = "127.0.0.1:3555".parse().unwrap();
    assert_eq!(*kcp, ListenerSettings::new(Protocol::Kcp, address, Profile::Due2, &settings.codec, &settings.gate));
    assert_eq!(tls.tls.as_ref().map(|tls| tls.key.as_path()), Some(Path::new("key.pem")));
    let route = RoutePolicy { body_bytes_max: Some(4096), overflow: Overflow::Close };
    assert_eq!(settings.gate.options.routes, HashMap::from([(Route(5), route)]));
    assert_eq!(settings.gate.options.channels, [("world.".to_owned(), Overflow::KeepLatest)]);
    assert_eq!(settings.close_codes.len(), 11);
}

#[test]
fn what_the_file_says_about_the_gate_arrives() {
    let text = "\
[gateway]
handshakes_max = 7
authorize_timeout = \"15s\"
channels_per_connection = 3
suspended_max = 0
resume_bytes_total = \"1MiB\"
memory_high = \"1GiB\"
memory_critical = \"2GiB\"
drain_spread = \"0s\"
reconnect_spread = \"2m\"
duplicate_login = \"reject\"
resume = false
session_route = 40000
resume_timeout = \"24h\"
resume_packets = 0
resume_bytes = \"1KiB\"
";
    let gate = Settings::parse("duet.toml", text).unwrap().gate;
    let default = GateSettings::default();
    let expected = GateSettings {
        options: GatewayOptions {
            handshakes_max: 7,
            sessions: SessionLimits { channels_per_session: 3, suspended_max: 0, ..SessionLimits::default() },
            resume_bytes_total: 1 << 20,
            drain_spread: Duration::ZERO,
            reconnect_spread: Duration::from_secs(120),
            ..default.options
        },
        memory: MemoryOptions { high: 1 << 30, critical: 2 << 30 },
        client: ClientSettings {
            timeouts: Timeouts { authorize: Duration::from_secs(15), ..default.client.timeouts },
            sessions: SessionOptions {
                duplicate_login: DuplicateLogin::Reject,
                resume: false,
                session_route: Route(40_000),
                resume_timeout: Duration::from_secs(24 * 3_600),
                resume_packets: 0,
                resume_bytes: 1 << 10,
            },
            ..default.client
        },
        ..default
    };
    assert_eq!(gate, expected);
}

#[test]
fn what_the_file_says_about_limits_arrives() {
    let text = "\
[limits]
connections_per_address = 1
connections_per_second = 2
connections_burst = 3
messages_per_second = 4
messages_burst = 5
bytes_per_second = \"6KiB\"
bytes_burst = \"7KiB\"
exempt = []
trusted_proxies = [\"10.0.0.0/8\", \"2001:db8::1\"]
addresses_max = 8
";
    let options = Settings::parse("duet.toml", text).unwrap().gate.options;
    let guard =
        GuardOptions { connections_per_address: 1, connections_per_second: 2.0, burst: 3, exempt: Networks::default(), addresses_max: 8 };
    assert_eq!(options.guard, guard);
    let rates = LimitOptions {
        messages_per_second: 4,
        messages_burst: 5,
        bytes_per_second: 6 << 10,
        bytes_burst: 7 << 10,
        ..LimitOptions::default()
    };
    assert_eq!(options.rates, rates.rates());
    assert_eq!(options.proxies, Networks::parse(["10.0.0.0/8", "2001:db8::1"]).unwrap());
}

#[test]
fn by_default_this_machine_itself_is_exempt_and_nobody_else() {
    let exempt = Settings::default().gate.options.guard.exempt;
    let is_exempt = |address: &str| exempt.contains(address.parse().unwrap());
    assert!(["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"].into_iter().all(is_exempt));
    assert!(!["10.0.0.1", "192.168.0.1", "::2", "fe80::1"].into_iter().any(is_exempt));
}

#[test]
fn routes_channels_and_close_codes_keep_what_the_file_says() {
    let text = "\
[[channel]]
prefix = \"world.chat\"
overflow = \"close\"
[[route]]
route = -7
overflow = \"keep-latest\"
[close_codes]
kicked = 4001
replaced = 1000
[[channel]]
prefix = \"world.\"
overflow = \"drop-newest\"
[[route]]
route = 5
body_bytes_max = 0
";
    let settings = Settings::parse("duet.toml", text).unwrap();
    let options = &settings.gate.options;
    assert_eq!(options.channels, [("world.chat".to_owned(), Overflow::Close), ("world.".to_owned(), Overflow::DropNewest)]);
    let route = |body_bytes_max, overflow| RoutePolicy { body_bytes_max, overflow };
    let routes = [(Route(-7), route(None, Overflow::KeepLatest)), (Route(5), route(Some(0), Overflow::Close))];
    assert_eq!(options.routes, HashMap::from(routes));
    assert_eq!(settings.close_codes, [(CloseReason::Kicked, 4001), (CloseReason::Replaced, 1000)]);
    assert_eq!(
        mistakes("[[channel]]\nprefix = \"w\"\noverflow = \"close\"\n[[channel]]\nprefix = \"world.\"\noverflow = \"close\"")[0]
            .to_string(),
        "duet.toml:5: channel[1].prefix = \"world.\": never reached after channel[0].prefix in line 2: allowed only in front of it"
    );
}

#[test]
fn a_queue_must_take_the_largest_packet_to_the_byte() {
    let both = |body: usize, queue: usize| mistakes(&format!("[codec]\nbody_bytes_max = {body}\n[gateway]\nwrite_queue_bytes = {queue}"));
    assert_eq!(both(100_000, 100_064), []);
    assert_eq!(
        both(100_000, 100_063)[0].to_string(),
        "duet.toml:4: gateway.write_queue_bytes = 100063: allowed: at least 100064 bytes, room for codec.body_bytes_max"
    );
    assert_eq!(
        mistakes("[codec]\nbody_bytes_max = \"2MiB\"")[0].to_string(),
        "duet.toml:2: codec.body_bytes_max = \"2MiB\": allowed: at most 1048512 bytes, to fit gateway.write_queue_bytes"
    );
}

#[test]
fn settings_are_loaded_from_a_file_and_mistakes_carry_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("duet.toml");
    fs::write(&path, "[codec]\nroute_bytes = 4\n").unwrap();
    assert_eq!(Settings::load(Some(&path)).unwrap().codec.route_bytes, 4);
    fs::write(&path, "[codec]\nroute_bytes = 5\n").unwrap();
    let shown = Settings::load(Some(&path)).unwrap_err().to_string();
    assert_eq!(shown, format!("{}:2: codec.route_bytes = 5: allowed: 1, 2, 4", path.display()));
    let shown = Settings::load(Some(Path::new("no-such-folder/duet.toml"))).unwrap_err().to_string();
    assert!(shown.starts_with("no-such-folder/duet.toml: cannot be read: "), "{shown}");
}

#[test]
fn the_file_beside_a_plugin_wins_over_the_settings_of_the_host() {
    let host = "[plugin.echo]\nmemory = \"8MiB\"\ncall_budget = \"20ms\"\n[plugin.echo.config]\ngreeting = \"hi\"\nmax = 5\n";
    let base = Settings::parse("duet.toml", host).unwrap().for_plugin("echo");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("echo.toml");
    let own = "instances = \"workers\"\naffinity = \"uid\"\nmemory = \"16MiB\"\n[config]\nmax = 7\n";
    fs::write(&path, own).unwrap();
    let settings = PluginSettings::from_file(&path, &base).unwrap().options;
    assert_eq!((settings.instances, settings.affinity), (Instances::Workers, Affinity::Uid));
    assert_eq!((settings.memory_bytes, settings.call_budget), (16 << 20, Duration::from_millis(20)));
    assert_eq!(settings.config.to_string(), r#"{"greeting":"hi","max":7}"#);
    assert_eq!(settings.queue_timeout, PluginOptions::default().queue_timeout);
}

#[test]
fn a_mistake_in_the_file_beside_a_plugin_carries_the_name_of_that_file() {
    let base = Settings::default().for_plugin("echo");
    let shown = PluginSettings::parse("plugins/echo.toml", "memory = 1\n[plugin.echo]\nx = 1\n", &base).unwrap_err();
    let shown = shown.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert_eq!(lines[0], "plugins/echo.toml:1: memory = 1: allowed: 1MiB to 4GiB");
    assert!(lines[1].starts_with("plugins/echo.toml:2: plugin: unknown key; allowed: enabled, "), "{shown}");
}

#[test]
fn values_at_the_ends_of_the_documented_ranges_are_allowed() {
    for text in [
        "drain_timeout = \"0s\"",
        "[codec]\nbody_bytes_max = 1",
        "[codec]\nbody_bytes_max = \"16MiB\"\n[gateway]\nwrite_queue_bytes = \"17MiB\"\n[runtime]\nqueue_bytes = \"17MiB\"",
        "[gateway]\nheartbeat_interval = \"0s\"\nhandshake_timeout = \"1m\"\nconnections_max = 10_000_000",
        "[gateway]\nauthorize_timeout = \"10ms\"\nmemory_high = \"16MiB\"\nmemory_critical = \"4096GiB\"",
        "[gateway]\nmemory_high = \"4096GiB\"",
        "[limits]\nconnections_per_address = 10_000_000\nbytes_per_second = \"1GiB\"\nmessages_burst = 1",
        "[plugin.a]\ncall_budget = \"5ms\"\nmemory = \"1MiB\"\ninstances = 1024\nquarantine = \"60s\"",
        "[plugin.a]\ncall_budget = \"10s\"\nmemory = \"4GiB\"\ninstances = \"workers\"\nquarantine = \"1m\"",
        "[plugin.my-game_2]\n[plugin.\"my.game\"]",
        "[[listener]]\nprotocol = \"tcp\"\naddress = \"0.0.0.0:3553\"",
    ] {
        assert_eq!(mistakes(text), [], "{text}");
    }
}
