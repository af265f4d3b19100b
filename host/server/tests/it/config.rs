//! Settings that are wrong, and ports that are taken.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use duet_testkit::{Peer, Wire};
use rcgen::{CertificateParams, KeyPair};

use crate::{ECHO, echo_server};

#[test]
fn all_five_mistakes_of_a_file_are_named_and_no_port_is_opened() {
    // If the server tried to open the port, it would say that it is in use.
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
        ["duet.toml:9:", "listener[0].protocol", "tcp, ws, kcp"],
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

#[test]
fn certificates_are_read_again_on_sighup_and_when_they_change_and_broken_ones_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let issue = |until_year| {
        let pair = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(until_year, 1, 1);
        fs::write(&key, pair.serialize_pem()).unwrap();
        fs::write(&certificate, parameters.self_signed(&pair).unwrap().pem()).unwrap();
    };
    issue(2001);
    let tls = format!("tls_cert = \"{}\"\ntls_key = \"{}\"\n", certificate.display(), key.display());
    let server = echo_server()
        .listener(&format!("protocol = \"tcp\"\n{tls}"))
        .listener(&format!("protocol = \"ws\"\naddress = \"0.0.0.0:0\"\n{tls}"))
        .start();
    assert!(server.url(0).starts_with("tls://127.0.0.1:") && server.url(1).starts_with("wss://0.0.0.0:"), "{}", server.banner());
    assert_eq!(server.banner().matches(", certificate for 0 days").count(), 2, "{}", server.banner());
    assert!(!server.log().contains("without TLS"), "{}", server.log());
    let wait = |text| server.wait_for_log(text, Duration::from_secs(60));

    // The files have not changed: only the signal can be the reason.
    assert!(Command::new("kill").args(["-HUP", &server.pid().to_string()]).status().unwrap().success());
    assert!(wait("the certificate was read again").contains("days_left=0"));
    fs::write(&certificate, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let line = wait("the old certificate stays in use");
    assert!(line.contains("ERROR") && line.contains("cert.pem"), "{line}");
    // More than 700,000 days; the key is written first, but a pair that does not fit is read again when the certificate has changed.
    issue(4096);
    wait("days_left=7");
    assert!(server.terminate().0.success());
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_and_no_port_is_opened() {
    // If the server tried to open the port, it would say that it is in use.
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let listener = format!("protocol = \"tcp\"\naddress = \"{address}\"\ntls_cert = \"lost.pem\"\ntls_key = \"lost.key\"\n");
    let refusal = echo_server().listener(&listener).refused();
    assert!(!refusal.status.success(), "{}", refusal.status);
    assert!(refusal.stderr.contains(&format!("the tcp listener on {address}: cannot read lost.pem")), "{}", refusal.stderr);
    assert!(!refusal.stderr.contains("cannot listen"), "{}", refusal.stderr);
}

#[test]
fn a_listener_that_everybody_can_reach_without_tls_is_warned_of_once() {
    let server = echo_server().listener("protocol = \"tcp\"\naddress = \"0.0.0.0:0\"\n").listener("protocol = \"kcp\"\n").start();
    assert!(server.url(1).starts_with("kcp://127.0.0.1:"), "{}", server.banner());
    let line = server.wait_for_log("without TLS", Duration::from_secs(5));
    assert!(line.contains("WARN") && line.contains(server.url(0)), "{line}");
    assert!(server.terminate().0.success());
    assert_eq!(server.log().matches("without TLS").count(), 1, "{}", server.log());
}

#[test]
fn what_was_refused_is_counted_in_the_last_line_of_the_log() {
    let limits = "[limits]\nexempt = []\nmessages_per_second = 1\nmessages_burst = 20\n";
    let server = echo_server().settings(limits).start();
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    let answered = (0..100).filter(|_| peer.call(ECHO, b"hello").is_ok()).count();
    assert!((20..100).contains(&answered), "{answered}");
    drop(peer);
    assert!(server.terminate().0.success());
    let line = server.wait_for_log("stopped", Duration::from_secs(5));
    assert!(line.contains(&format!("refused=\"message_rate={}\"", 100 - answered)), "{line}");
}

#[test]
fn the_banner_says_how_the_clients_of_each_listener_have_to_be_built() {
    let listener = |more: &str| format!("protocol = \"tcp\"\n{more}");
    let server = echo_server()
        .listener(&listener("byte_order = \"little\"\nroute_bytes = 4\nseq_bytes = 1"))
        .listener(&listener("profile = \"seed\""))
        .start();
    let said = |listener: usize| {
        let line = server.banner().lines().filter(|line| line.starts_with("listening")).nth(listener).unwrap();
        line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(said(0), "due2, little endian, route 4 bytes, seq 1 bytes");
    assert_eq!(said(1), "seed, big endian, route 2 bytes, seq 2 bytes");
}

#[test]
fn the_soft_limit_of_open_files_is_raised_and_too_many_connections_for_the_hard_one_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    let config = "[gateway]\nconnections_max = 700\n[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:0\"\n";
    fs::write(folder.path().join("duet.toml"), config).unwrap();
    let mut server = Command::new("sh")
        .args(["-c", "ulimit -Sn 200 && ulimit -Hn 600 && exec \"$0\" run --config duet.toml", env!("CARGO_BIN_EXE_duet")])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ready = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok).any(|line| line.starts_with("ready"));
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap_or_default();
    server.kill().unwrap();
    let log = std::io::read_to_string(server.stderr.take().unwrap()).unwrap();
    server.wait().unwrap();
    assert!(ready, "{log}");
    let open_files: Vec<_> = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap().split_whitespace().collect();
    assert_eq!(open_files[..2], ["600", "600"]);
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("open files")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("connections_max = 700 ") && warnings[0].contains("may have 600:"), "{}", warnings[0]);
}
