//! `duet client` as a program: what it sends, what it says, and what it ends with.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use duet_testkit::{Pki, Server};

use crate::{ECHO, echo_server};

/// Runs it until its end, with these lines as its input.
fn talk(arguments: &[&str], lines: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
    command.arg("client").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn tcp(server: &Server) -> String {
    format!("tcp://{}", server.tcp())
}

#[test]
fn a_body_is_an_argument_and_not_a_line() {
    let server = echo_server().start();
    let (endpoint, route) = (tcp(&server), ECHO.to_string());
    for (body, shown) in [
        ("plain text", "plain text"),
        ("5 apples", "5 apples"),
        ("-1", "-1"),
        ("--wait", "--wait"),
        ("# no comment", "# no comment"),
        ("it's \"so\"", "it's \"so\""),
        (" blanks  ", "hex:20626c616e6b732020"),
        ("two\nlines\n", "hex:74776f0a6c696e65730a"),
        ("", ""),
    ] {
        let (code, out, error) = talk(&[&endpoint, "--wait", "5000", "--send", &route, "--body", body], "");
        // The reply is there at once; then the client waits as long as pushes may take.
        assert_eq!((code, out.as_str(), error.as_str()), (Some(0), format!("< reply {ECHO} 1 {shown}\n").as_str(), ""), "{body:?}");
    }
}

#[test]
fn what_is_not_answered_ends_with_a_message_and_a_code() {
    let server = echo_server().settings("[gateway]\nerror_packets = false\n").start();
    let endpoint = tcp(&server);
    let (code, out, error) = talk(&[&endpoint, "--wait", "50", "--send", "9999"], "");
    assert_eq!((code, out.as_str(), error.as_str()), (Some(1), "", "duet: no answer within 50ms to route 9999 seq 1\n"));
    let (code, out, error) = talk(&[&endpoint, "--wait", "1000"], &format!("{ECHO} hello\n9999 a\n9999 b\n"));
    assert_eq!(out.lines().filter(|line| line.starts_with("< reply ")).count(), 1, "{out}");
    assert!(code == Some(1) && error.ends_with("duet: no answer within 1s to route 9999 seq 2, route 9999 seq 3\n"), "{code:?}: {error}");
    let (code, _, error) = talk(&["kcp://127.0.0.1:9", "--wait", "50", "--send", "1"], "");
    assert!(code == Some(1) && error.contains("no answer within 50ms"), "{code:?}: {error}");
}

#[test]
fn the_address_of_another_kind_of_listener_is_told_in_words() {
    let pki = Pki::new();
    let secure = |protocol: &str| format!("protocol = \"{protocol}\"\n{}", pki.settings());
    let server = echo_server()
        .listener("protocol = \"tcp\"\n")
        .listener("protocol = \"ws\"\n")
        .listener(&secure("tcp"))
        .listener(&secure("ws"))
        .start();
    let addresses = server.addresses();
    let (plain_tcp, plain_ws, secure_tcp, secure_ws) = (addresses[0], addresses[1], addresses[2], addresses[3]);
    for (scheme, address, words) in [
        ("tcp", plain_ws, "try ws:// or wss://"),
        ("tls", secure_ws, "try ws:// or wss://"),
        ("ws", plain_tcp, "is not a ws listener"),
        ("wss", secure_tcp, "is not a ws listener"),
        ("tls", plain_tcp, "does not answer in TLS"),
        ("wss", plain_ws, "does not answer in TLS"),
        ("tcp", secure_tcp, "the server answers in TLS"),
        ("ws", secure_ws, "is not a ws listener; try tcp:// or tls://, or wss://"),
    ] {
        let endpoint = format!("{scheme}://{address}");
        let (code, out, error) = talk(&[&endpoint, "--accept-any-certificate", "--wait", "8000", "--send", "111", "--body", "hello"], "");
        assert!(code == Some(1) && out.is_empty(), "{endpoint}: {code:?} {out}");
        // A reset may have come before the words.
        let told = error.contains(words) || error.contains("address may be that of another kind of listener");
        assert!(told && error.lines().count() == 1, "{endpoint}: {error}");
        eprintln!("{endpoint}: {}", error.trim());
    }
}
