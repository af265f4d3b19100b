//! Settings that are wrong, and ports that are taken.

use std::net::TcpListener;

use crate::echo_server;

#[test]
fn all_five_mistakes_of_a_file_are_named_and_no_port_is_opened() {
    // If the server tried to open the port, it would say that somebody holds it.
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        r#"plugins = "plugins"
drain_timout = "5s"

[codec]
route_bytes = 3
body_bytes_max = "64 Kib"

[[listener]]
protocol = "udp"
address = "{}"

[gateway]
handshake_timeout = 5
"#,
        held.local_addr().unwrap()
    );
    let refusal = echo_server().whole_config(&config).refused();
    assert!(!refusal.status.success(), "{}", refusal.status);
    assert_eq!(refusal.stdout, "");
    let named = |parts: &[&str]| refusal.stderr.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    for parts in [
        // File, line, key, and what is allowed.
        ["duet.toml:2:", "drain_timout", "drain_timeout"],
        ["duet.toml:5:", "codec.route_bytes", "1, 2, 4"],
        ["duet.toml:6:", "codec.body_bytes_max", "1 to 16MiB"],
        ["duet.toml:9:", "listener[0].protocol", "tcp, ws"],
        ["duet.toml:13:", "gateway.handshake_timeout", "10ms to 1m"],
    ] {
        assert!(named(&parts), "{parts:?} are not in one line of:\n{}", refusal.stderr);
    }
    assert!(!refusal.stderr.contains("cannot listen"), "{}", refusal.stderr);
    eprintln!("config with 5 mistakes: 5 named, {}; it reads:\n{}", refusal.status, refusal.stderr);
}

#[test]
fn a_port_that_is_taken_is_named_with_the_process_that_holds_it() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let listener = format!("protocol = \"ws\"\naddress = \"{address}\"\n");
    let refusal = echo_server().listener("protocol = \"tcp\"\n").listener(&listener).refused();
    assert!(!refusal.status.success(), "{}", refusal.status);
    for part in [&format!("cannot listen on {address}"), &format!("process {} ", std::process::id())] {
        assert!(refusal.stderr.contains(part), "{part:?} is not in:\n{}", refusal.stderr);
    }
    assert_eq!(refusal.stderr.matches("in use").count(), 1, "said once: {}", refusal.stderr);
    eprintln!("port in use: {}", refusal.stderr.lines().last().unwrap_or_default());
}
