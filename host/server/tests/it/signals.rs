//! Signals at every moment of a server's life, and as process 1 of a container.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use duet_testkit::{Peer, Wire, guest};

use crate::ECHO;
use crate::plugins::SINGLE;
use crate::program::{Place, Running, signal_to};

/// The ports open when all plugins are compiled, however busy the machine is.
const LONG_START: &str = "[runtime]\nstart_wait = \"1h\"\n";

/// Four plugins that are not compiled yet.
fn place(settings: &str) -> Place {
    let plugins = ["echo", "greet", "hostile"];
    plugins.iter().fold(Place::cold(settings), |place, name| place.plugin(name, guest(name))).plugin("single", SINGLE)
}

/// Whether a process handles SIGTERM: from here on a signal must not get lost.
fn handles(process: u32) -> bool {
    const TERM: u64 = 1 << 14;
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")?.trim().parse_hex());
    caught.is_some_and(|caught| caught & TERM != 0)
}

trait ParseHex {
    fn parse_hex(&self) -> Option<u64>;
}

impl ParseHex for str {
    fn parse_hex(&self) -> Option<u64> {
        u64::from_str_radix(self, 16).ok()
    }
}

/// Processes that a process has started: compilers.
fn children(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    children.flat_map(|ids| ids.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<u32>>()).collect()
}

fn is_alive(process: u32) -> bool {
    fs::metadata(format!("/proc/{process}")).is_ok()
}

/// Nothing is left of a start that was given up but plugins that were compiled to the end.
fn is_tidy(place: &Place, compilers: &[u32]) {
    let running: Vec<&u32> = compilers.iter().filter(|compiler| is_alive(**compiler)).collect();
    assert!(running.is_empty(), "compilers run on: {running:?}");
    let cached = place.cached();
    assert!(cached.iter().all(|name| name.ends_with(".cwasm")), "half files are left: {cached:?}");
}

#[test]
fn sigterm_ends_a_start_at_any_moment_and_leaves_nothing_behind() {
    type Moment = fn(&Place, u32) -> bool;
    let moments: [(&str, Moment); 3] = [
        ("handlers", |_, server| handles(server)),
        ("compilers", |_, server| !children(server).is_empty()),
        ("first plugin", |place, _| place.cached().iter().any(|name| name.ends_with(".cwasm"))),
    ];
    for (name, moment) in moments {
        // Whether the ports are open while they still compile must not matter.
        for start_wait in ["10s", "0s"] {
            let place = place(&format!("[runtime]\nstart_wait = \"{start_wait}\"\n"));
            let mut server = Running::start(&mut place.serve());
            let id = server.id();
            server.wait_until(name, || moment(&place, id));
            let compilers = children(id);
            let begun = Instant::now();
            server.terminate();
            is_tidy(&place, &compilers);
            eprintln!("sigterm at {name}, start_wait {start_wait}: ended after {:.2?}", begun.elapsed());
        }
    }
}

#[test]
fn sigint_and_sigquit_end_a_start_too_and_no_plugin_is_blamed() {
    for signal in ["INT", "QUIT"] {
        let place = place("");
        let mut server = Running::start(place.serve().stderr(Stdio::piped()));
        let id = server.id();
        server.wait_until("no compiler", || !children(id).is_empty());
        let compilers = children(id);
        server.send(signal);
        let log = std::io::read_to_string(server.stderr()).unwrap();
        assert_eq!(server.wait().code(), Some(0), "{log}");
        assert!(log.contains("stopped before it was ready") && !log.contains("plugin refused"), "{log}");
        is_tidy(&place, &compilers);
    }
}

#[test]
fn a_second_signal_during_the_start_ends_it_too() {
    let place = place("");
    let mut server = Running::start(&mut place.serve());
    let id = server.id();
    server.wait_until("no compiler", || !children(id).is_empty());
    server.send("TERM");
    server.send("INT");
    let status = server.wait();
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn a_file_that_cannot_be_opened_yet_does_not_hold_up_sigterm() {
    let place = place("[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:0\"\ntls_cert = \"pipe\"\ntls_key = \"pipe\"\n");
    // Opening it waits for a writer.
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
    let mut server = Running::start(&mut place.serve());
    let id = server.id();
    server.wait_until("no handlers", || handles(id));
    server.terminate();
}

#[test]
fn signals_that_ask_for_nothing_kill_neither_a_start_nor_a_server() {
    let place = place(LONG_START);
    let mut server = Running::start(&mut place.serve());
    let id = server.id();
    server.wait_until("no compiler", || !children(id).is_empty());
    let signals = ["HUP", "USR1", "USR2", "PIPE", "XFSZ"];
    for signal in signals {
        server.send(signal);
    }
    place.wait_until_open(&mut server);
    let mut peer = Peer::connect(place.address(), Wire::TCP);
    for signal in signals {
        server.send(signal);
        assert_eq!(peer.call(ECHO, b"on").as_deref(), Ok(b"on".as_slice()), "{signal}");
    }
    // A server that drains, like one that gets SIGTERM.
    server.send("QUIT");
    assert!(matches!(peer.next(), duet_testkit::Message::Error { route: 0, code: 10, .. }));
    drop(peer);
    assert_eq!(server.wait().code(), Some(0));
}

/// The server as process 1 of a namespace. `None` where that is not allowed.
fn first_process(place: &Place) -> Option<(Running, u32)> {
    let allowed = Command::new("unshare").args(["--pid", "--fork", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED the server as process 1: `unshare --pid --fork` is not allowed here");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", env!("CARGO_BIN_EXE_duet"), "run", "--config", "duet.toml"]);
    command.current_dir(place.path("")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut outside = Running::start(&mut command);
    let id = outside.id();
    let mut server = None;
    outside.wait_until("no server", || {
        server = children(id).into_iter().find(|child| handles(*child) && is_duet(*child));
        server.is_some()
    });
    server.map(|server| (outside, server))
}

fn is_duet(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name == "duet\n")
}

#[test]
fn process_1_of_a_container_obeys_as_any_other() {
    let place = place(LONG_START);
    let Some((mut outside, server)) = first_process(&place) else { return };
    outside.wait_until("no compiler", || !children(server).is_empty());
    let compilers = children(server);
    for signal in ["HUP", "USR1", "TERM"] {
        signal_to(server, signal);
    }
    let status = outside.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    is_tidy(&place, &compilers);

    let Some((mut outside, server)) = first_process(&place) else { return };
    place.wait_until_open(&mut outside);
    let mut peer = Peer::connect(place.address(), Wire::TCP);
    signal_to(server, "USR1");
    assert_eq!(peer.call(ECHO, b"on").as_deref(), Ok(b"on".as_slice()));
    drop(peer);
    signal_to(server, "TERM");
    let status = outside.wait();
    assert_eq!(status.code(), Some(0), "{status}");
}
