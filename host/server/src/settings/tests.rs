//! Tests of the settings: defaults, every kind of mistake, the documented example.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use duet_config::Mistake;

use super::*;

const EXAMPLE: &str = include_str!("../../duet.example.toml");

/// Texts with one mistake each, and the key it is reported at.
const SINGLE_MISTAKES: &[(&str, &str)] = &[
    ("plugins = 1", "plugins"),
    ("plugins = \"\"", "plugins"),
    ("cache = \" \"", "cache"),
    ("cache = [\"a\"]", "cache"),
    ("drain_timeout = 10", "drain_timeout"),
    ("drain_timeout = \"2h\"", "drain_timeout"),
    ("plugin_folder = \"x\"", "plugin_folder"),
    ("log = \"info\"", "log"),
    ("[log]\nlevel = \"verbose\"", "log.level"),
    ("[log]\nlevel = \"INFO\"", "log.level"),
    ("[log]\nformat = \"xml\"", "log.format"),
    ("[log]\nfile = \"x\"", "log.file"),
    ("[codec]\nbyte_order = \"middle\"", "codec.byte_order"),
    ("[codec]\nroute_bytes = 3", "codec.route_bytes"),
    ("[codec]\nroute_bytes = 0", "codec.route_bytes"),
    ("[codec]\nroute_bytes = \"2\"", "codec.route_bytes"),
    ("[codec]\nseq_bytes = 3", "codec.seq_bytes"),
    ("[codec]\nseq_bytes = -1", "codec.seq_bytes"),
    ("[codec]\nbody_bytes_max = 0", "codec.body_bytes_max"),
    ("[codec]\nbody_bytes_max = \"17MiB\"", "codec.body_bytes_max"),
    ("[codec]\nbody_bytes_max = \"64kb\"", "codec.body_bytes_max"),
    ("[codec]\nbody_bytes_max = \"1MiB\"", "codec.body_bytes_max"),
    ("[codec]\nbuffer_bytes = 1", "codec.buffer_bytes"),
    ("[[codec]]\nroute_bytes = 2", "codec"),
    ("[gateway]\nio_threads = -1", "gateway.io_threads"),
    ("[gateway]\nio_threads = 1025", "gateway.io_threads"),
    ("[gateway]\nconnections_max = 0", "gateway.connections_max"),
    ("[gateway]\nconnections_max = 1e4", "gateway.connections_max"),
    ("[gateway]\nhandshake_timeout = \"0s\"", "gateway.handshake_timeout"),
    ("[gateway]\nhandshake_timeout = \"61s\"", "gateway.handshake_timeout"),
    ("[gateway]\nfirst_packet_timeout = \"11m\"", "gateway.first_packet_timeout"),
    ("[gateway]\npacket_timeout = \"5\"", "gateway.packet_timeout"),
    ("[gateway]\nwrite_timeout = \"9ms\"", "gateway.write_timeout"),
    ("[gateway]\nwrite_queue_packets = 0", "gateway.write_queue_packets"),
    ("[gateway]\nwrite_queue_bytes = \"2GiB\"", "gateway.write_queue_bytes"),
    ("[gateway]\nwrite_queue_bytes = \"64KiB\"", "gateway.write_queue_bytes"),
    ("[gateway]\nheartbeat_interval = \"5ms\"", "gateway.heartbeat_interval"),
    ("[gateway]\nheartbeat_interval = 0", "gateway.heartbeat_interval"),
    ("[gateway]\nheartbeat = \"none\"", "gateway.heartbeat"),
    ("[gateway]\nheartbeat = false", "gateway.heartbeat"),
    ("[gateway]\nheartbeat_time = 1", "gateway.heartbeat_time"),
    ("[gateway]\nerror_packets = \"true\"", "gateway.error_packets"),
    ("[gateway]\nconnection_max = 5", "gateway.connection_max"),
    ("[listener]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"", "listener"),
    ("listener = []", "listener"),
    ("[[listener]]\naddress = \"127.0.0.1:1\"", "listener[0].protocol"),
    ("[[listener]]\nprotocol = \"tcp\"", "listener[0].address"),
    ("[[listener]]\naddress = \"127.0.0.1:1\"\nprotocol = \"udp\"", "listener[0].protocol"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \":3553\"", "listener[0].address"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"localhost:3553\"", "listener[0].address"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1\"", "listener[0].address"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:65536\"", "listener[0].address"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\nprofile = \"due1\"", "listener[0].profile"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\npath = \"game\"", "listener[0].path"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\npath = \"/a b\"", "listener[0].path"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\npath = \"/a?b=1\"", "listener[0].path"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\npath = \"/\"", "listener[0].path"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nroute_bytes = 8", "listener[0].route_bytes"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nseq_bytes = 8", "listener[0].seq_bytes"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nbyte_order = 1", "listener[0].byte_order"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nheartbeat = \"on\"", "listener[0].heartbeat"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nheartbeat_interval = \"2h\"", "listener[0].heartbeat_interval"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nheartbeat_time = 0", "listener[0].heartbeat_time"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nerror_packets = 0", "listener[0].error_packets"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\ntls = true", "listener[0].tls"),
    (
        "[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\n[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"",
        "listener[1].address",
    ),
    (
        "[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\n[[listener]]\nprotocol = \"ws\"\naddress = \"0.0.0.0:1\"",
        "listener[1].address",
    ),
    ("[runtime]\nworkers = 5000", "runtime.workers"),
    ("[runtime]\nqueue_messages = 0", "runtime.queue_messages"),
    ("[runtime]\nqueue_bytes = \"4TiB\"", "runtime.queue_bytes"),
    ("[runtime]\nqueue_bytes = \"64KiB\"", "runtime.queue_bytes"),
    ("[runtime]\nbatch_messages = 0", "runtime.batch_messages"),
    ("[runtime]\nbatch_bytes = 100", "runtime.batch_bytes"),
    ("[runtime]\nbatch_bytes = \"5MiB\"", "runtime.batch_bytes"),
    ("[runtime]\nfile_bytes_max = \"2GiB\"", "runtime.file_bytes_max"),
    ("[runtime]\nfunction_bytes_max = true", "runtime.function_bytes_max"),
    ("[runtime]\ncompile_timeout = \"500ms\"", "runtime.compile_timeout"),
    ("[runtime]\ncompile_memory = \"1MiB\"", "runtime.compile_memory"),
    ("[runtime]\nstart_wait = \"-1s\"", "runtime.start_wait"),
    ("[runtime]\nthreads = 2", "runtime.threads"),
    ("plugin = \"echo\"", "plugin"),
    ("[plugin]\nenabled = true", "plugin.enabled"),
    ("[plugin.\"a/b\"]", "plugin.\"a/b\""),
    ("[plugin.\"\"]", "plugin.\"\""),
    ("[plugin.\"..\"]", "plugin.\"..\""),
    ("[plugin.echo]\nenabled = \"no\"", "plugin.echo.enabled"),
    ("[plugin.echo]\ninstances = 0", "plugin.echo.instances"),
    ("[plugin.echo]\ninstances = \"cores\"", "plugin.echo.instances"),
    ("[plugin.echo]\naffinity = \"room\"", "plugin.echo.affinity"),
    ("[plugin.echo]\ncall_budget = \"4ms\"", "plugin.echo.call_budget"),
    ("[plugin.echo]\ncall_budget = \"11s\"", "plugin.echo.call_budget"),
    ("[plugin.echo]\nmemory = \"512KiB\"", "plugin.echo.memory"),
    ("[plugin.echo]\nmemory = \"5GiB\"", "plugin.echo.memory"),
    ("[plugin.echo]\ntable_elements = 0", "plugin.echo.table_elements"),
    ("[plugin.echo]\nlog_lines_per_second = -5", "plugin.echo.log_lines_per_second"),
    ("[plugin.echo]\nfaults_max = 0", "plugin.echo.faults_max"),
    ("[plugin.echo]\nfaults_window = \"1ms\"", "plugin.echo.faults_window"),
    ("[plugin.echo]\nquarantine = \"2m\"", "plugin.echo.quarantine"),
    ("[plugin.echo]\nwait_timeout = \"1h\"", "plugin.echo.wait_timeout"),
    ("[plugin.echo]\nqueue_timeout = \"1ms\"", "plugin.echo.queue_timeout"),
    ("[plugin.echo]\nconfig = \"x\"", "plugin.echo.config"),
    ("[plugin.echo.config]\nrate = nan", "plugin.echo.config.rate"),
    ("[plugin.echo]\nmemroy = 1", "plugin.echo.memroy"),
];

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
fn five_mistakes_are_all_named_with_file_line_key_value_and_what_is_allowed() {
    let text = "\
plugins = \"plugins\"

[codec]
route_bytes = 3

[gateway]
handshake_timeout = \"5\"
conections_max = 500

[[listener]]
protocol = \"udp\"
address = \"127.0.0.1:3553\"

[plugin.echo]
memory = \"8GiB\"
";
    let shown = Settings::parse("duet.toml", text).unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().collect();
    let starts = [
        "duet.toml:4: codec.route_bytes = 3: allowed are 1, 2, 4",
        "duet.toml:7: gateway.handshake_timeout = \"5\": allowed are 10ms to 1m",
        "duet.toml:8: gateway.conections_max: unknown key, did you mean `connections_max`? allowed are io_threads, connections_max, ",
        "duet.toml:11: listener[0].protocol = \"udp\": allowed are tcp, ws",
        "duet.toml:15: plugin.echo.memory = \"8GiB\": allowed are 1MiB to 4GiB",
    ];
    assert_eq!(lines.len(), starts.len(), "{shown}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
}

#[test]
fn each_single_mistake_is_refused_with_its_key_its_line_and_what_is_allowed() {
    assert!(SINGLE_MISTAKES.len() >= 60);
    for (text, key) in SINGLE_MISTAKES {
        let found = mistakes(text);
        let [mistake] = found.as_slice() else {
            panic!("{text}\nhas the mistakes {found:#?}");
        };
        assert_eq!(mistake.place.key, *key, "{text}");
        assert!(mistake.place.line.is_some(), "{text}");
        assert!(mistake.problem.contains("allowed"), "{text}\n{mistake}");
    }
}

#[test]
fn each_key_of_the_example_has_a_wrong_value_that_is_refused() {
    let refused: BTreeSet<&str> = SINGLE_MISTAKES.iter().filter_map(|(_, key)| key.rsplit('.').next()).collect();
    let documented: Vec<&str> =
        EXAMPLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect();
    assert!(documented.len() > 50);
    for key in documented {
        assert!(refused.contains(key), "{key}");
    }
}

#[test]
fn every_known_key_is_in_the_example() {
    let unknown = "x = 1\n[log]\nx = 1\n[codec]\nx = 1\n[gateway]\nx = 1\n[runtime]\nx = 1\n[plugin.p]\nx = 1\n\
                   [[listener]]\nprotocol = \"ws\"\naddress = \"[::1]:1\"\nx = 1\n";
    let found = mistakes(unknown);
    assert_eq!(found.len(), 7, "{found:#?}");
    for mistake in found {
        let (_, known) = mistake.problem.split_once("allowed are ").unwrap();
        for key in known.split(", ") {
            let written = |line: &str| {
                line.starts_with(&format!("{key} = "))
                    || line.starts_with(&format!("[{key}"))
                    || line.starts_with(&format!("[[{key}"))
                    || (line.starts_with('[') && line.contains(&format!(".{key}]")))
            };
            assert!(EXAMPLE.lines().any(written), "{key} of {}", mistake.place.key);
        }
    }
}

#[test]
fn a_listener_takes_what_it_does_not_say_from_codec_and_gateway() {
    let text = "\
[codec]
byte_order = \"little\"
route_bytes = 4
[gateway]
heartbeat = \"tick\"
heartbeat_interval = \"3s\"
error_packets = false
[[listener]]
protocol = \"tcp\"
address = \"0.0.0.0:4000\"
[[listener]]
protocol = \"ws\"
address = \"[::1]:4001\"
path = \"/game\"
profile = \"seed\"
byte_order = \"big\"
route_bytes = 1
seq_bytes = 0
heartbeat = \"off\"
heartbeat_interval = \"0s\"
error_packets = true
";
    let settings = Settings::parse("duet.toml", text).unwrap();
    let [tcp, ws] = settings.listeners.as_slice() else {
        panic!("{:#?}", settings.listeners);
    };
    let tcp_codec = (tcp.byte_order, tcp.route_bytes, tcp.seq_bytes);
    assert_eq!(tcp_codec, (ByteOrder::Little, 4, 2));
    assert_eq!((tcp.heartbeat, tcp.heartbeat_interval), (Heartbeat::Tick, Duration::from_secs(3)));
    assert!(!tcp.error_packets && !tcp.heartbeat_time);
    assert_eq!((ws.byte_order, ws.route_bytes, ws.seq_bytes), (ByteOrder::Big, 1, 0));
    assert_eq!((ws.heartbeat, ws.heartbeat_interval), (Heartbeat::Off, Duration::ZERO));
    assert_eq!((ws.path.as_str(), ws.profile), ("/game", Profile::Seed));
    assert!(ws.error_packets);
}

#[test]
fn a_seed_listener_sends_the_time_unless_it_says_otherwise() {
    let listener = |more: &str| {
        let text = format!("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\nprofile = \"seed\"\n{more}");
        Settings::parse("duet.toml", &text).unwrap().listeners.remove(0)
    };
    assert!(listener("").heartbeat_time);
    assert!(!listener("heartbeat_time = false").heartbeat_time);
}

#[test]
fn listeners_may_share_a_port_on_different_addresses_or_leave_it_to_the_system() {
    let two = |a: &str, b: &str| {
        let one = |address: &str| format!("[[listener]]\nprotocol = \"tcp\"\naddress = \"{address}\"\n");
        mistakes(&(one(a) + &one(b)))
    };
    assert_eq!(two("127.0.0.1:1", "127.0.0.2:1"), []);
    assert_eq!(two("127.0.0.1:0", "127.0.0.1:0"), []);
    assert_eq!(two("0.0.0.0:1", "[::]:1"), []);
    assert_eq!(two("127.0.0.1:1", "127.0.0.1:2"), []);
    let taken = two("[::]:1", "[::1]:1");
    assert_eq!(
        taken[0].to_string(),
        "duet.toml:6: listener[1].address = \"[::1]:1\": taken by listener[0].address in line 3: allowed is one listener for each address"
    );
}

#[test]
fn a_queue_must_take_the_largest_packet_to_the_byte() {
    let both = |body: usize, queue: usize| mistakes(&format!("[codec]\nbody_bytes_max = {body}\n[gateway]\nwrite_queue_bytes = {queue}"));
    assert_eq!(both(100_000, 100_064), []);
    assert_eq!(
        both(100_000, 100_063)[0].to_string(),
        "duet.toml:4: gateway.write_queue_bytes = 100063: allowed are at least 100064 bytes, room for codec.body_bytes_max"
    );
    assert_eq!(
        mistakes("[codec]\nbody_bytes_max = \"2MiB\"")[0].to_string(),
        "duet.toml:2: codec.body_bytes_max = \"2MiB\": allowed are at most 1048512 bytes, it has to fit gateway.write_queue_bytes"
    );
}

#[test]
fn a_wrong_value_is_not_held_against_other_keys_too() {
    let found = mistakes("[codec]\nbody_bytes_max = \"2MiB\"\n[gateway]\nwrite_queue_bytes = \"4 MiB\"");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].place.key, "gateway.write_queue_bytes");
}

#[test]
fn a_syntax_error_is_one_mistake_and_the_rest_is_still_checked() {
    let text = "[codec]\nroute_bytes = two\nseq_bytes = 7\n[[listener]]\nprotocol = tcp\n[runtime]\nworkers = -1\n";
    let shown = Settings::parse("duet.toml", text).unwrap_err().to_string();
    let places: Vec<&str> = shown.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(places, ["duet.toml:2:15:", "duet.toml:3:", "duet.toml:5:12:", "duet.toml:7:"], "{shown}");
}

#[test]
fn settings_are_loaded_from_a_file_and_mistakes_carry_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("duet.toml");
    fs::write(&path, "[codec]\nroute_bytes = 4\n").unwrap();
    assert_eq!(Settings::load(Some(&path)).unwrap().codec.route_bytes, 4);
    fs::write(&path, "[codec]\nroute_bytes = 5\n").unwrap();
    let shown = Settings::load(Some(&path)).unwrap_err().to_string();
    assert_eq!(shown, format!("{}:2: codec.route_bytes = 5: allowed are 1, 2, 4", path.display()));
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
    let settings = PluginSettings::from_file(&path, &base).unwrap();
    assert_eq!((settings.instances, settings.affinity), (Instances::Workers, Affinity::Uid));
    assert_eq!((settings.memory, settings.call_budget), (16 << 20, Duration::from_millis(20)));
    assert_eq!(settings.config.to_string(), r#"{"greeting":"hi","max":7}"#);
    assert_eq!(settings.queue_timeout, PluginSettings::default().queue_timeout);
}

#[test]
fn a_mistake_in_the_file_beside_a_plugin_carries_the_name_of_that_file() {
    let base = Settings::default().for_plugin("echo");
    let shown = PluginSettings::parse("plugins/echo.toml", "memory = 1\n[plugin.echo]\nx = 1\n", &base).unwrap_err();
    let shown = shown.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert_eq!(lines[0], "plugins/echo.toml:1: memory = 1: allowed are 1MiB to 4GiB");
    assert!(lines[1].starts_with("plugins/echo.toml:2: plugin: unknown key; allowed are enabled, "), "{shown}");
}

#[test]
fn values_at_the_ends_of_the_documented_ranges_are_allowed() {
    for text in [
        "drain_timeout = \"0s\"",
        "[codec]\nbody_bytes_max = 1",
        "[codec]\nbody_bytes_max = \"16MiB\"\n[gateway]\nwrite_queue_bytes = \"17MiB\"\n[runtime]\nqueue_bytes = \"17MiB\"",
        "[gateway]\nheartbeat_interval = \"0s\"\nhandshake_timeout = \"1m\"\nconnections_max = 10_000_000",
        "[plugin.a]\ncall_budget = \"5ms\"\nmemory = \"1MiB\"\ninstances = 1024\nquarantine = \"60s\"",
        "[plugin.a]\ncall_budget = \"10s\"\nmemory = \"4GiB\"\ninstances = \"workers\"\nquarantine = \"1m\"",
        "[plugin.my-game_2]\n[plugin.\"my.game\"]",
        "[[listener]]\nprotocol = \"tcp\"\naddress = \"0.0.0.0:3553\"",
    ] {
        assert_eq!(mistakes(text), [], "{text}");
    }
}
