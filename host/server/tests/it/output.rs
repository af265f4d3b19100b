//! Standard output and standard error that are closed, full or never read: a server goes on, and a command ends silently.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use duet_testkit::{Honest, Peer, Wire, guest};

use crate::ECHO;
use crate::plugins::SINGLE;
use crate::program::{Place, Running, closed, full, stuck};

/// Logs 10,000 lines, then replies `logged`.
const LOG_FLOOD: i16 = 104;
/// Replies with its body; of the plugin single.
const OTHER_ECHO: i16 = 211;
/// Far more lines than a pipe and the server's own buffer hold.
const FLOODS: usize = 8;

/// A plugin that logs and one that does not, on the same worker.
fn place() -> Place {
    let settings = "[runtime]\nworkers = 1\n[plugin.hostile]\nlog_lines_per_second = 100000\ncall_budget = \"10s\"\n";
    Place::warm(settings).plugin("hostile", guest("hostile")).plugin("single", SINGLE)
}

/// While a plugin logs all the time, it and the other one answer all the time.
fn is_served(place: &Place) {
    let honest = Honest::start(2, || {
        let mut peer = Peer::connect(place.address(), Wire::TCP);
        Box::new(move || assert_eq!(peer.call(OTHER_ECHO, b"other").as_deref(), Ok(b"other".as_slice())))
    });
    let mut peer = Peer::connect(place.address(), Wire::TCP);
    for _ in 0..FLOODS {
        assert_eq!(peer.call(LOG_FLOOD, b"").as_deref(), Ok(b"logged".as_slice()));
        assert_eq!(peer.call(ECHO, b"echo").as_deref(), Ok(b"echo".as_slice()));
    }
    honest.stop();
}

#[test]
fn a_log_that_nobody_reads_holds_up_nobody_and_what_was_dropped_is_told() {
    let place = place();
    let mut server = Running::start(place.serve().stderr(Stdio::piped()));
    place.wait_until_open(&mut server);
    is_served(&place);
    let log = BufReader::new(server.stderr());
    let lines = log.lines().map(Result::unwrap);
    let (mut kept, mut dropped) = (0, None);
    for line in lines {
        kept += usize::from(line.contains("of a flood"));
        if line.contains("log lines were dropped") {
            dropped = line.split_once("dropped=").map(|(_, count)| count.parse::<usize>().unwrap());
            break;
        }
    }
    let dropped = dropped.expect("a number");
    assert!(dropped > 0 && kept + dropped <= FLOODS * 10_000 + 100, "{kept} kept, {dropped} dropped");
    server.terminate();
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_up_the_end() {
    let place = place();
    let mut server = Running::start(place.serve().stderr(Stdio::piped()));
    let _unread = server.stderr();
    place.wait_until_open(&mut server);
    is_served(&place);
    server.terminate();
}

#[test]
fn a_server_goes_on_with_standard_error_closed_or_full() {
    for stderr in [closed(), full()] {
        let place = place();
        let mut server = Running::start(place.serve().stderr(stderr));
        place.wait_until_open(&mut server);
        is_served(&place);
        server.terminate();
    }
}

#[test]
fn a_server_whose_banner_cannot_be_written_says_so_in_the_log_and_goes_on() {
    for (stdout, error) in [(closed(), "Broken pipe"), (full(), "No space left")] {
        let place = place();
        let mut server = Running::start(place.serve().stdout(stdout).stderr(Stdio::piped()));
        let mut lines = BufReader::new(server.stderr()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("cannot write to standard output")).unwrap();
        assert!(line.contains("WARN") && line.contains(error), "{line}");
        std::thread::spawn(move || lines.count());
        place.wait_until_open(&mut server);
        is_served(&place);
        server.terminate();
    }
}

#[test]
fn a_server_whose_banner_nobody_reads_goes_on_and_ends() {
    let place = place();
    let (_unread, stdout) = stuck();
    let mut server = Running::start(place.serve().stdout(stdout));
    place.wait_until_open(&mut server);
    is_served(&place);
    server.terminate();
}

/// What commands end with when nobody reads what they print.
fn is_quiet(command: &mut Command) {
    let output = command.stdout(closed()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(141), ""), "{command:?}");
    let output = command.stdout(full()).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("duet: cannot write to standard output: No space left") && said.lines().count() == 1, "{command:?}: {said}");
    assert_eq!(output.status.code(), Some(1), "{command:?}");
    let status = command.stdout(closed()).stderr(closed()).status().unwrap();
    assert_eq!(status.code(), Some(141), "{command:?}");
}

#[test]
fn a_command_whose_output_is_closed_ends_without_a_word() {
    let place = place();
    let mut server = Running::start(&mut place.serve());
    place.wait_until_open(&mut server);
    let endpoint = format!("tcp://{}", place.address());
    let echo = ECHO.to_string();
    is_quiet(&mut place.duet(["--help"]));
    is_quiet(&mut place.duet(["--version"]));
    is_quiet(&mut place.duet(["check", "plugins/single.wasm", "--config", "duet.toml"]));
    is_quiet(&mut place.duet(["client", &endpoint, "--send", &echo, "--body", "hello", "--wait", "100"]));
    is_quiet(&mut place.duet(["bench", &endpoint, "--route", &echo, "--seconds", "0.1", "--connections", "1", "--line"]));
    is_quiet(&mut place.duet(["bench", &endpoint, "--route", &echo, "--seconds", "0.1", "--connections", "1"]));
    is_quiet(&mut place.duet(["bench", &endpoint, "--idle", "--seconds", "0.1", "--connections", "1"]));
    server.terminate();
}

#[test]
fn lines_of_a_client_whose_output_is_closed_end_it() {
    let place = place();
    let mut server = Running::start(&mut place.serve());
    place.wait_until_open(&mut server);
    let endpoint = format!("tcp://{}", place.address());
    let mut client = place.duet(["client", &endpoint]).stdin(Stdio::piped()).stdout(closed()).stderr(Stdio::piped()).spawn().unwrap();
    client.stdin.as_mut().unwrap().write_all(format!("{ECHO} hello\n").as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(141) && said.lines().count() == 1 && said.starts_with("connected to"),
        "{}: {said}",
        output.status
    );
    server.terminate();
}

#[test]
fn a_command_that_fails_with_everything_closed_fails_as_always() {
    let place = place();
    for (arguments, code) in
        [(["check", "plugins/none.wasm"], 1), (["run", "--config=none.toml"], 1), (["client", "none"], 1), (["bench", "--none"], 2)]
    {
        for closed in [closed, full] {
            let status = place.duet(arguments).stdout(closed()).stderr(closed()).status().unwrap();
            assert_eq!(status.code(), Some(code), "{arguments:?}");
        }
    }
}
