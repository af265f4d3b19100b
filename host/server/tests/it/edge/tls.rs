//! TLS: versions, renewed certificates, and what an independent examiner finds.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use duet_testkit::suite::{is_full, sized};
use duet_testkit::{Dial, Honest, Message, Pki, Server, Trust, Wire, report};

use super::{SOON, baseline, beside, counted, lobby, lobby_server};

const HONEST: usize = 20;
const SSL3: u16 = 0x0300;
const TLS12: u16 = 0x0303;

fn server(pki: &Pki) -> Server {
    let listener = |protocol: &str| format!("protocol = \"{protocol}\"\n{}", pki.settings());
    lobby_server().listener(&listener("tcp")).listener(&listener("ws")).start()
}

fn tcp(server: &Server) -> SocketAddr {
    server.addresses()[0]
}

fn ws(server: &Server) -> SocketAddr {
    server.addresses()[1]
}

/// The first message of a client that offers this version at most. What follows from TLS 1.3 on is not in it.
pub(super) fn client_hello(version: u16) -> Vec<u8> {
    fn sized<const N: usize>(content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32).to_be_bytes();
        [&length[4 - N..], content].concat()
    }
    let extension = |kind: u16, content: &[u8]| [kind.to_be_bytes().as_slice(), &sized::<2>(content)].concat();
    let ciphers = [0xc02b_u16, 0xc02f, 0xc009, 0xc013, 0x002f, 0x000a].map(u16::to_be_bytes).concat();
    let extensions = [
        extension(0, &sized::<2>(&[&[0], sized::<2>(b"localhost").as_slice()].concat())),
        extension(10, &sized::<2>(&[0, 0x1d, 0, 0x17])),
        extension(11, &sized::<1>(&[0])),
        extension(13, &sized::<2>(&[4, 3, 8, 4, 4, 1, 2, 1])),
    ]
    .concat();
    let random = [7; 32];
    let session = sized::<1>(b"");
    let body = [&version.to_be_bytes(), &random[..], &session, &sized::<2>(&ciphers), &sized::<1>(&[0]), &sized::<2>(&extensions)].concat();
    let handshake = [&[1], sized::<3>(&body).as_slice()].concat();
    [&[0x16, 3, if version == SSL3 { 0 } else { 1 }], sized::<2>(&handshake).as_slice()].concat()
}

#[test]
fn old_versions_of_tls_are_refused_and_told_so() {
    let pki = Pki::new();
    let server = server(&pki);
    let answer = |version| Dial::new(tcp(&server), Wire::TCP).preface(&client_hello(version)).bare().bytes(7);
    for version in SSL3..TLS12 {
        // A fatal alert: protocol_version.
        let alert = answer(version);
        assert_eq!((alert[0], &alert[3..]), (0x15, [0, 2, 2, 70].as_slice()), "{version:#06x}: {alert:02x?}");
    }
    // The same client with TLS 1.2 gets on.
    assert_eq!(answer(TLS12)[0], 0x16);
    // No TLS at all.
    let mut plain = Dial::new(tcp(&server), Wire::TCP).preface(&Wire::TCP.data(lobby::ECHO, 1, b"hello")).bare();
    assert_eq!(plain.bytes(1), [0x15], "an alert");
    assert!(Dial::new(ws(&server), Wire::WS).tls(&pki.trust()).connect().call(lobby::ECHO, b"hello").is_ok());
    report!("TLS versions: SSL 3.0, TLS 1.0, TLS 1.1 refused with protocol_version; 1.2 and 1.3 taken; plain bytes refused");
}

#[test]
fn a_renewed_certificate_is_shown_after_sighup_and_nobody_is_dropped() {
    let pki = Pki::new();
    let server = server(&pki);
    let wires = [(tcp(&server), Wire::TCP), (ws(&server), Wire::WS)];
    let dial = |number: usize, trust: &Trust| Dial::new(wires[number % 2].0, wires[number % 2].1).tls(trust);
    let start = || {
        let mut number = 0;
        let trust = pki.trust();
        Honest::start(HONEST, || {
            number += 1;
            let mut peer = dial(number, &trust).connect();
            Box::new(move || assert_eq!(peer.call(lobby::ECHO, b"honest"), Ok(b"honest".to_vec())))
        })
    };
    let before = baseline(start);
    let honest = start();
    let mut trust = pki.trust();
    let rounds = sized(5, 50);
    for round in 1..=rounds {
        let old = trust;
        pki.renew();
        trust = pki.trust();
        hang_up(&server, "the certificate was read again");
        for number in 0..2 {
            assert!(dial(number, &trust).connect().call(lobby::ECHO, b"new").is_ok(), "round {round}");
            let refused = dial(number, &old).try_connect().expect_err("the old certificate is gone");
            assert!(refused.contains("certificate"), "{refused}");
        }
    }
    // A file that is broken, and a certificate that does not belong to the key: the old one stays, and the log names the file.
    let (good, other) = (std::fs::read(pki.certificate()).unwrap(), Pki::new());
    for (content, complaint) in [
        (b"not a certificate".to_vec(), "holds no certificate"),
        (good[..good.len() / 2].to_vec(), "holds"),
        (std::fs::read(other.certificate()).unwrap(), "does not belong to"),
        (Vec::new(), "holds no certificate"),
    ] {
        std::fs::write(pki.certificate(), content).unwrap();
        let line = hang_up(&server, "the old certificate stays in use");
        let path = pki.certificate().display().to_string();
        assert!(line.contains("ERROR") && line.contains(&path) && (line.contains(complaint) || line.contains("damaged")), "{line}");
        for number in 0..2 {
            assert!(dial(number, &trust).connect().call(lobby::ECHO, b"still").is_ok(), "{complaint}");
        }
    }
    let waits = honest.stop();
    std::fs::write(pki.certificate(), good).unwrap();
    report!(
        "certificates: {rounds} renewed and shown after SIGHUP, 4 broken ones refused with the name of the file; {HONEST} connections with TLS went \
         on, {}",
        beside(&before, &waits)
    );
    let stopped = server.stop();
    // Only clients that trust the old certificate have left.
    assert_eq!(counted(&stopped, "handshake"), 2 * rounds as u64, "{stopped}");
}

/// Sends SIGHUP and waits until both listeners have logged this. Returns the last line.
fn hang_up(server: &Server, said: &str) -> String {
    let lines = || server.log().lines().filter(|line| line.contains(said)).map(str::to_owned).collect::<Vec<_>>();
    let before = lines().len();
    server.send_hangup();
    let begun = Instant::now();
    loop {
        let mut lines = lines();
        if lines.len() >= before + 2 {
            return lines.pop().unwrap_or_default();
        }
        assert!(begun.elapsed() < SOON, "{said:?} is missing:\n{}", server.log());
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn a_client_that_ends_tls_without_a_goodbye_and_one_that_sends_garbage_are_ended() {
    let pki = Pki::new();
    let server = server(&pki);
    let mut broken = Dial::new(tcp(&server), Wire::TCP).tls(&pki.trust()).connect();
    assert!(broken.call(lobby::ECHO, b"hello").is_ok());
    std::io::Write::write_all(&mut broken.stream(), &[0x17, 3, 3, 0, 32].iter().chain(&[9; 32]).copied().collect::<Vec<u8>>()).unwrap();
    assert_eq!(broken.next(), Message::Closed(None));
    let mut cut = Dial::new(tcp(&server), Wire::TCP).tls(&pki.trust()).connect();
    assert!(cut.call(lobby::ECHO, b"hello").is_ok());
    cut.stream().shutdown(std::net::Shutdown::Both).unwrap();
    let mut other = Dial::new(tcp(&server), Wire::TCP).tls(&pki.trust()).connect();
    super::wait_for_connections(&mut other, 1, SOON);
    let stopped = server.stop();
    assert_eq!(counted(&stopped, "lost") + counted(&stopped, "client_left"), 2, "{stopped}");
}

/// Findings that are about the certificate that was made for this test, not about the server.
const OF_THE_CERTIFICATE: &[&str] = &["cert"];

#[test]
fn an_independent_examiner_finds_nothing_above_low() {
    if !is_full() {
        return;
    }
    let Some(program) = ["testssl", "testssl.sh"].into_iter().find(|name| starts(name)) else {
        report!("testssl: SKIPPED, testssl.sh is not installed");
        return;
    };
    let pki = Pki::new();
    let server = server(&pki);
    for (name, address) in [("tcp", tcp(&server)), ("ws", ws(&server))] {
        let file = server.folder().join(format!("{name}.json"));
        let status = Command::new(program)
            .args(["--quiet", "--color", "0", "--warnings", "off", "--sneaky", "--ip", "one", "--jsonfile"])
            .arg(&file)
            .arg(address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("it was there a moment ago");
        let (counts, high) = findings(&file);
        report!("testssl, {name} with TLS: {counts}; above LOW: {}", if high.is_empty() { "none".to_owned() } else { high.join(", ") });
        assert!(high.is_empty(), "{high:#?} ({status})");
    }
    // It has tried all kinds of wrong handshakes.
    assert!(Dial::new(tcp(&server), Wire::TCP).tls(&pki.trust()).connect().call(lobby::ECHO, b"well").is_ok());
}

fn starts(program: &str) -> bool {
    Command::new(program).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// How many findings of each severity there are, and those that are more than low.
fn findings(file: &Path) -> (String, Vec<String>) {
    let text = std::fs::read_to_string(file).expect("findings");
    let all: Vec<serde_json::Value> = serde_json::from_str(&text).expect("json");
    let field = |finding: &serde_json::Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let (about_certificate, about_server): (Vec<_>, Vec<_>) =
        all.iter().partition(|f| OF_THE_CERTIFICATE.iter().any(|name| field(f, "id").starts_with(name)));
    let of = |severity: &str| about_server.iter().filter(|f| field(f, "severity") == severity).count();
    let counts = format!(
        "{} findings about the server: {} OK, {} INFO, {} LOW, {} WARN ({} about the certificate of the test left out)",
        about_server.len(),
        of("OK"),
        of("INFO"),
        of("LOW"),
        of("WARN"),
        about_certificate.len()
    );
    assert!(of("OK") >= 20, "too few findings: {counts}\n{text}");
    let high = about_server.iter().filter(|f| ["MEDIUM", "HIGH", "CRITICAL", "FATAL"].contains(&field(f, "severity").as_str()));
    (counts, high.map(|f| format!("{} {}: {}", field(f, "severity"), field(f, "id"), field(f, "finding"))).collect())
}
