//! Clients that ask without a window: due's own load test, and bursts of many clients on each carrier. Nobody may be closed for that.
//!
//! Sizes are small here. `cargo xtask suite load` runs the same with `DUET_SUITE=full`, and due's gate and node beside it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use duet_testkit::suite::{is_full, raise_file_limit, sized};
use duet_testkit::{Message, Peer, Pki, Server, ServerBuilder, Wire, guest, report};

use crate::clients::programs::{folder, go_due, is_skipped, succeed};
use crate::{ECHO, echo_server};

/// Connections and letters in the message of each row of due's published table.
const ROWS: [(usize, usize); 8] =
    [(50, 1024), (100, 1024), (200, 1024), (300, 1024), (400, 1024), (500, 1024), (1_000, 1024), (1_000, 2048)];
/// Why a gate closes a client that asks too much, takes nothing or says nothing. A client that ends with bytes unread is `lost`, and was not
/// closed.
const CLOSED: [&str; 5] = ["slow_reader", "write_timeout", "packet_timeout", "first_packet_timeout", "silence"];

fn server() -> ServerBuilder {
    Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("echo", guest("echo"))
}

/// due's client with a load for a server.
fn load(protocol: &str, address: &str, connections: usize, letters: usize, replies: usize) -> Command {
    let mut command = Command::new(go_due());
    command.args(["-script", "load", "-proto", protocol, "-addr", address, "-heartbeat", "10s", "-buffer-bytes", "100000"]);
    command.args(["-route-bytes", "4", "-seq-bytes", "4", "-connections", &connections.to_string()]);
    command.args(["-body-bytes", &letters.to_string(), "-count", &replies.to_string()]);
    command
}

/// Replies a second, as the client says.
fn rate(said: &str) -> f64 {
    let word = |name| said.split_whitespace().find_map(|word| word.strip_prefix(name));
    assert_eq!(word("closed="), Some("0"), "{said}");
    word("rate=").and_then(|rate| rate.parse().ok()).unwrap_or_else(|| panic!("no rate: {said}"))
}

/// Nobody was closed, as the server says at its end.
fn assert_nobody_was_closed(server: &Server) {
    let stopped = server.stop();
    for reason in CLOSED {
        assert!(!stopped.contains(&format!("{reason}=")), "{stopped}");
    }
}

const WIDTHS: &str = "[codec]\nroute_bytes = 4\nseq_bytes = 4\n";

#[test]
fn dues_load_test_is_answered_to_the_last_reply_with_nobody_closed() {
    if is_skipped("go") {
        return;
    }
    raise_file_limit();
    let (replies, rounds) = (sized(10_000, 1_000_000), sized(1, 10));
    let beside = is_full().then(Due::start);
    for (connections, letters) in ROWS {
        let mut rates: Vec<f64> = (0..rounds)
            .map(|_| {
                let server = server().settings(WIDTHS).start();
                let said = succeed(&mut load("tcp", &server.tcp().to_string(), connections, letters, replies));
                assert_nobody_was_closed(&server);
                rate(&said)
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        let median = rates[rates.len() / 2];
        let due = beside.as_ref().map_or(String::new(), |due| due.beside(median, connections, letters, replies));
        report!(
            "due's load, {connections} x {letters} letters: {rounds} x {replies} replies, {:.0} k/s (median), 0 closed{due}",
            median / 1e3
        );
    }
}

/// due's gate and node in one process.
struct Due {
    process: Child,
    address: String,
    /// What it prints later would end it if nobody could read it.
    _said: BufReader<ChildStdout>,
}

impl Due {
    fn start() -> Self {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-due-server");
        succeed(Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(folder("host/testkit/peers/go-due-server")));
        let settings: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("due");
        std::fs::create_dir_all(&settings).unwrap();
        let mut process = Command::new(program).current_dir(settings).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let address = said.by_ref().lines().find_map(|line| line.unwrap().strip_prefix("listening tcp://").map(str::to_owned));
        Self { process, address: address.expect("it listens"), _said: said }
    }

    /// The same load for due. It has no limits that could close somebody, but may fail in its own way.
    fn beside(&self, duet: f64, connections: usize, letters: usize, replies: usize) -> String {
        let output = load("tcp", &self.address, connections, letters, replies).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return format!("; due: {}", said.lines().last().unwrap_or_default());
        }
        let due = rate(&said);
        format!("; due: {:.0} k/s, ratio {:.1}", due / 1e3, duet / due)
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

#[test]
fn clients_of_each_carrier_that_ask_without_a_window_are_all_answered() {
    if is_skipped("go") {
        return;
    }
    raise_file_limit();
    let pki = Pki::new();
    let listener = |protocol: &str, more: &str| format!("protocol = \"{protocol}\"\n{more}");
    let builder = server().settings(WIDTHS).listener(&listener("tcp", "")).listener(&listener("ws", ""));
    let builder =
        builder.listener(&listener("kcp", "")).listener(&listener("tcp", &pki.settings())).listener(&listener("ws", &pki.settings()));
    let server = builder.start();
    let clients = sized(10, 100);
    for (protocol, address) in ["tcp", "ws", "kcp", "tls", "wss"].into_iter().zip(server.addresses()) {
        for (each, letters) in [(sized(60, 300), 10_000), (sized(500, 10_000), 8)] {
            // KCP has a window of its own; this many bytes take long to get through it.
            let each = if protocol == "kcp" { each.min(1_000) } else { each };
            let mut command = load(protocol, &address.to_string(), clients, letters, clients * each);
            let said = succeed(command.env("SSL_CERT_FILE", pki.certificate()));
            report!("without a window, {clients} clients of {protocol}, {each} x {letters} letters each: {:.0}/s, 0 closed", rate(&said));
        }
    }
    assert_nobody_was_closed(&server);
}

/// A client whose requests leave in one write, and that reads meanwhile.
fn burst(mut peer: Peer, requests: &[u8], count: usize) {
    let mut writer = peer.second();
    thread::scope(|scope| {
        scope.spawn(|| writer.write(requests));
        for seq in 1..=count {
            match peer.next() {
                Message::Data { route: ECHO, seq: got, body } => assert_eq!((got, body.len()), (seq as i16, 10_000)),
                other => panic!("instead of reply {seq}: {other:?}"),
            }
        }
    });
}

#[test]
fn three_hundred_requests_in_one_write_are_answered() {
    let server = echo_server().start();
    let (clients, count) = (sized(10, 100), 300);
    for (address, wire) in [(server.tcp(), Wire::TCP), (server.ws(), Wire::WS)] {
        let requests: Vec<u8> = (1..=count)
            .flat_map(|seq| {
                let packet = wire.data(ECHO, seq as i16, &[7; 10_000]);
                if wire == Wire::WS { duet_testkit::frame::frame(duet_testkit::frame::opcode::BINARY, &packet) } else { packet }
            })
            .collect();
        thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| burst(Peer::connect(address, wire), &requests, count));
            }
        });
        report!("one write of {count} x 10 KB, {clients} clients of {}: all answered, 0 closed", wire.name());
    }
    assert_nobody_was_closed(&server);
}
