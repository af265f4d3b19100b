//! Every kind of mistake, one at a time and together.

use std::collections::BTreeSet;

use super::*;

/// Texts with one mistake each, and the key it is reported at.
const SINGLE_MISTAKES: &[(&str, &str)] = &[
    ("plugins = 1", "plugins"),
    ("plugins = \"\"", "plugins"),
    ("cache = \" \"", "cache"),
    ("cache = [\"a\"]", "cache"),
    ("watch_plugins = \"yes\"", "watch_plugins"),
    ("control = true", "control"),
    ("control = \" \"", "control"),
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
    ("[gateway]\nhandshakes_max = 0", "gateway.handshakes_max"),
    ("[gateway]\nauthorize_timeout = \"11m\"", "gateway.authorize_timeout"),
    ("[gateway]\nauthorize_timeout = \"1ms\"", "gateway.authorize_timeout"),
    ("[gateway]\nchannels_per_connection = 65537", "gateway.channels_per_connection"),
    ("[gateway]\nsuspended_max = -1", "gateway.suspended_max"),
    ("[gateway]\nmemory_high = \"1MiB\"", "gateway.memory_high"),
    ("[gateway]\nmemory_high = \"80%\"", "gateway.memory_high"),
    ("[gateway]\nmemory_critical = \"5000GiB\"", "gateway.memory_critical"),
    ("[gateway]\nmemory_high = \"1GiB\"\nmemory_critical = \"1GiB\"", "gateway.memory_high"),
    ("[gateway]\ndrain_spread = \"1h\"", "gateway.drain_spread"),
    ("[gateway]\nreconnect_spread = 5", "gateway.reconnect_spread"),
    ("[gateway]\nduplicate_login = \"kick\"", "gateway.duplicate_login"),
    ("[gateway]\nresume = \"no\"", "gateway.resume"),
    ("[gateway]\nsession_route = 3000000000", "gateway.session_route"),
    ("[gateway]\nresume_timeout = \"0s\"", "gateway.resume_timeout"),
    ("[gateway]\nresume_packets = 65537", "gateway.resume_packets"),
    ("[gateway]\nresume_bytes = 0", "gateway.resume_bytes"),
    ("[gateway]\nresume_bytes_total = \"1KiB\"", "gateway.resume_bytes_total"),
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
    ("[limits]\nconnections_per_address = 0", "limits.connections_per_address"),
    ("[limits]\nconnections_per_second = 0.5", "limits.connections_per_second"),
    ("[limits]\nconnections_burst = 0", "limits.connections_burst"),
    ("[limits]\nmessages_per_second = 0", "limits.messages_per_second"),
    ("[limits]\nmessages_burst = 1000001", "limits.messages_burst"),
    ("[limits]\nbytes_per_second = 100", "limits.bytes_per_second"),
    ("[limits]\nbytes_burst = \"2GiB\"", "limits.bytes_burst"),
    ("[limits]\nexempt = \"127.0.0.0/8\"", "limits.exempt"),
    ("[limits]\nexempt = [\"127.0.0.0/8\", \"localhost\"]", "limits.exempt[1]"),
    ("[limits]\ntrusted_proxies = true", "limits.trusted_proxies"),
    ("[limits]\ntrusted_proxies = [\"10.0.0.0/33\"]", "limits.trusted_proxies[0]"),
    ("[limits]\naddresses_max = 0", "limits.addresses_max"),
    ("[limits]\nmessages = 5", "limits.messages"),
    ("[[route]]\nbody_bytes_max = 5", "route[0].route"),
    ("[[route]]\nroute = \"chat\"", "route[0].route"),
    ("[[route]]\nroute = 5\nbody_bytes_max = \"65KiB\"", "route[0].body_bytes_max"),
    ("[[route]]\nroute = 5\noverflow = \"drop\"", "route[0].overflow"),
    ("[[route]]\nroute = 5\n[[route]]\nroute = 6\n[[route]]\nroute = 5", "route[2].route"),
    ("[[route]]\nroute = 5\nrate = 1", "route[0].rate"),
    ("[route]\nroute = 5", "route"),
    ("[[channel]]\noverflow = \"close\"", "channel[0].prefix"),
    ("[[channel]]\nprefix = 5\noverflow = \"close\"", "channel[0].prefix"),
    ("[[channel]]\nprefix = \"world.\"", "channel[0].overflow"),
    ("[[channel]]\nprefix = \"a\"\noverflow = \"close\"\n[[channel]]\nprefix = \"ab\"\noverflow = \"keep-latest\"", "channel[1].prefix"),
    ("[close_codes]\nauthorize_timeout = 999", "close_codes.authorize_timeout"),
    ("[close_codes]\nfirst_packet_timeout = 1004", "close_codes.first_packet_timeout"),
    ("[close_codes]\nflood = 1005", "close_codes.flood"),
    ("[close_codes]\ngoing_away = 1006", "close_codes.going_away"),
    ("[close_codes]\nkicked = 1015", "close_codes.kicked"),
    ("[close_codes]\noversize = 2999", "close_codes.oversize"),
    ("[close_codes]\npacket_timeout = 5000", "close_codes.packet_timeout"),
    ("[close_codes]\nprotocol = -1", "close_codes.protocol"),
    ("[close_codes]\nreplaced = \"4000\"", "close_codes.replaced"),
    ("[close_codes]\nsilence = 70000", "close_codes.silence"),
    ("[close_codes]\ntext = 0", "close_codes.text"),
    ("[close_codes]\nclient_left = 4000", "close_codes.client_left"),
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
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\norigins = \"*\"", "listener[0].origins"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\norigins = [\"game.example\"]", "listener[0].origins[0]"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\norigins = [\"*\", \"https://game.example\"]", "listener[0].origins"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\norigins = [\"same-host\", \"same-host\"]", "listener[0].origins"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\norigins = [\"*\"]", "listener[0].origins"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\nsubprotocols = \"a\"", "listener[0].subprotocols"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\nsubprotocols = [\"a b\"]", "listener[0].subprotocols[0]"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nsubprotocols = [\"a\"]", "listener[0].subprotocols"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\npath = \"/\"", "listener[0].path"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\ntls_cert = \"cert.pem\"", "listener[0].tls_cert"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\ntls_key = \"key.pem\"", "listener[0].tls_key"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\ntls_cert = \"\"\ntls_key = \"key.pem\"", "listener[0].tls_cert"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nproxy_protocol = true", "listener[0].proxy_protocol"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nproxy_protocol = 1", "listener[0].proxy_protocol"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\nheartbeat_interval = \"0s\"", "listener[0].heartbeat_interval"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nauthorize_timeout = \"1h\"", "listener[0].authorize_timeout"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nduplicate_login = true", "listener[0].duplicate_login"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nresume = 1", "listener[0].resume"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nsession_route = 32768", "listener[0].session_route"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nroute_bytes = 1\nsession_route = -129", "listener[0].session_route"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nresume_timeout = \"25h\"", "listener[0].resume_timeout"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nresume_packets = -1", "listener[0].resume_packets"),
    ("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:1\"\nresume_bytes = \"2GiB\"", "listener[0].resume_bytes"),
    ("[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\nkcp = { mtu = 1400 }", "listener[0].kcp"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\nkcp = 1", "listener[0].kcp"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nmtu = 49", "listener[0].kcp.mtu"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nnodelay = 1", "listener[0].kcp.nodelay"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\ninterval = \"5ms\"", "listener[0].kcp.interval"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nresend = 256", "listener[0].kcp.resend"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nnc = 1", "listener[0].kcp.nc"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nsend_window = 8", "listener[0].kcp.send_window"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nreceive_window = 127", "listener[0].kcp.receive_window"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nack_no_delay = 0", "listener[0].kcp.ack_no_delay"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nstream = \"no\"", "listener[0].kcp.stream"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nsessions_max = 0", "listener[0].kcp.sessions_max"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\ndead_link = \"0s\"", "listener[0].kcp.dead_link"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nlinger = \"2m\"", "listener[0].kcp.linger"),
    ("[[listener]]\nprotocol = \"kcp\"\naddress = \"127.0.0.1:1\"\n[listener.kcp]\nwindow = 5", "listener[0].kcp.window"),
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
    ("[plugin.echo]\nstate_timeout = \"9ms\"", "plugin.echo.state_timeout"),
    ("[plugin.echo]\nversions_kept = 101", "plugin.echo.versions_kept"),
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
    ("[plugin.echo]\nrecycle_calls = -1", "plugin.echo.recycle_calls"),
    ("[plugin.echo]\nrecycle_memory = \"64MiB\"", "plugin.echo.recycle_memory"),
    ("[plugin.echo]\nqueue_timeout = \"1ms\"", "plugin.echo.queue_timeout"),
    ("[plugin.echo]\nconfig = \"x\"", "plugin.echo.config"),
    ("[plugin.echo.config]\nrate = nan", "plugin.echo.config.rate"),
    ("[plugin.echo]\nmemroy = 1", "plugin.echo.memroy"),
];

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
        "duet.toml:4: codec.route_bytes = 3: allowed: 1, 2, 4",
        "duet.toml:7: gateway.handshake_timeout = \"5\": allowed: 10ms to 1m",
        "duet.toml:8: gateway.conections_max: unknown key, did you mean `connections_max`? allowed: io_threads, connections_max, ",
        "duet.toml:11: listener[0].protocol = \"udp\": allowed: tcp, ws",
        "duet.toml:15: plugin.echo.memory = \"8GiB\": allowed: 1MiB to 4GiB",
    ];
    assert_eq!(lines.len(), starts.len(), "{shown}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
}

#[test]
fn each_single_mistake_is_refused_with_its_key_its_line_and_what_is_allowed() {
    assert!(SINGLE_MISTAKES.len() >= 150);
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
    let everything = everything();
    let settings = everything.lines().filter(|line| !line.trim_start().starts_with('#'));
    let documented: Vec<&str> = settings.filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect();
    assert!(documented.len() > 110);
    for key in documented {
        assert!(refused.contains(key), "{key}");
    }
}

#[test]
fn a_wrong_value_is_not_held_against_other_keys_too() {
    let found = mistakes("[codec]\nbody_bytes_max = \"2MiB\"\n[gateway]\nwrite_queue_bytes = \"4 MiB\"");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].place.key, "gateway.write_queue_bytes");
    for text in [
        "[codec]\nbody_bytes_max = \"1 MiB\"\n[[route]]\nroute = 1\nbody_bytes_max = \"128KiB\"",
        "[limits]\ntrusted_proxies = [\"proxy\"]\n[[listener]]\nprotocol = \"tcp\"\naddress = \"[::1]:1\"\nproxy_protocol = true",
        "[[listener]]\nprotocol = \"kpc\"\naddress = \"[::1]:1\"\n[listener.kcp]\nmtu = 1200",
    ] {
        assert_eq!(mistakes(text).len(), 1, "{text}");
    }
}

#[test]
fn a_syntax_error_is_one_mistake_and_the_rest_is_still_checked() {
    let text = "[codec]\nroute_bytes = two\nseq_bytes = 7\n[[listener]]\nprotocol = tcp\n[runtime]\nworkers = -1\n";
    let shown = Settings::parse("duet.toml", text).unwrap_err().to_string();
    let places: Vec<&str> = shown.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(places, ["duet.toml:2:15:", "duet.toml:3:", "duet.toml:5:12:", "duet.toml:7:"], "{shown}");
}
