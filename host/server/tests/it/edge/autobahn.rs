//! The Autobahn test suite against our WebSocket.
//!
//! Its cases want every message back, also text. Our listeners take binary packets only and refuse text with 1003. So the frames are
//! tried on an echo of this test: the handshake, the sockets and the frame layer of the server, with text switched on. What cannot be
//! seen there, how a listener answers pings, close frames and broken ones, is tried on a server.
//!
//! It needs a Python 2.7: `cargo xtask suite edge` installs the suite into `target/autobahn/env`. Without it there is nothing to run.

mod echo;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use duet_testkit::report;
use serde_json::{Value, json};

use super::lobby_server;

/// Frames, pings, reserved bits, opcodes, fragments, UTF-8, closing, and what has no other place. Not: limits and performance (9), which
/// measure, and compression (12, 13), which we do not offer.
const ALL: [&str; 8] = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"];
/// Those that send no message, and so may be tried on a listener that takes packets only.
const WITHOUT_MESSAGES: [&str; 27] = [
    "2.*", "3.1", "3.5", "3.6", "3.7", "4.1.1", "4.1.2", "4.2.1", "4.2.2", "5.1", "5.2", "5.9", "5.10", "5.11", "5.12", "5.13", "5.14",
    "5.16", "5.17", "7.1.2", "7.1.3", "7.1.4", "7.3.*", "7.5.*", "7.7.*", "7.9.*", "7.13.*",
];

/// How cases ended, by name of the behaviour.
type Behaviours = BTreeMap<String, Vec<String>>;

#[test]
fn the_frame_layer_passes_every_case() {
    let Some(program) = program() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = echo::start(&runtime);
    let found = fuzz(&program, address, &ALL);
    report!("autobahn, frame layer, cases 1-7 and 10: {}", shown(&found));
    assert!(found.values().map(Vec::len).sum::<usize>() > 200, "{found:?}");
    assert!(failed(&found).is_empty(), "{:?}", failed(&found));
}

#[test]
fn a_listener_passes_every_case_without_messages() {
    let Some(program) = program() else { return };
    let server = lobby_server().settings("[gateway]\nfirst_packet_timeout = \"10m\"\n").start();
    let found = fuzz(&program, server.ws(), &WITHOUT_MESSAGES);
    report!("autobahn, ws listener, cases without messages: {}", shown(&found));
    assert!(failed(&found).is_empty(), "{:?}", failed(&found));
}

/// The suite, if it is installed.
fn program() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_duet")).ancestors().nth(2).expect("a target folder above the program");
    let program = std::env::var_os("DUET_AUTOBAHN").map_or_else(|| target.join("autobahn/env/bin/wstest"), PathBuf::from);
    if program.is_file() {
        return Some(program);
    }
    report!("autobahn: SKIPPED, {} is not there; `cargo xtask suite edge` installs it where there is a Python 2.7", program.display());
    None
}

/// Runs cases against a server.
fn fuzz(program: &Path, server: SocketAddr, cases: &[&str]) -> Behaviours {
    let folder = tempfile::tempdir().unwrap();
    let spec = json!({
        "outdir": folder.path().join("report"),
        "servers": [{ "agent": "duet", "url": format!("ws://{server}") }],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    let file = folder.path().join("spec.json");
    std::fs::write(&file, spec.to_string()).unwrap();
    let output = Command::new(program)
        .args(["--mode", "fuzzingclient", "--spec"])
        .arg(&file)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let index = std::fs::read_to_string(folder.path().join("report/index.json")).unwrap_or_else(|e| {
        panic!("no report ({e}): {}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    });
    let index: Value = serde_json::from_str(&index).unwrap();
    let mut found = Behaviours::new();
    for (case, result) in index["duet"].as_object().expect("results") {
        let word = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
        // A case is as good as the worse of its two halves.
        let behaviour = if word("behaviorClose") == "OK" || word("behavior") != "OK" { word("behavior") } else { word("behaviorClose") };
        found.entry(behaviour).or_default().push(case.clone());
    }
    found
}

fn shown(found: &Behaviours) -> String {
    let of = |name: &str| found.get(name).map_or(0, Vec::len);
    let total: usize = found.values().map(Vec::len).sum();
    format!(
        "{total} cases, {} OK, {} informational, {} non-strict, {} failed",
        of("OK"),
        of("INFORMATIONAL"),
        of("NON-STRICT"),
        failed(found).len()
    )
}

fn failed(found: &Behaviours) -> Vec<String> {
    let good = ["OK", "INFORMATIONAL", "NON-STRICT"];
    found
        .iter()
        .filter(|(name, _)| !good.contains(&name.as_str()))
        .flat_map(|(name, cases)| cases.iter().map(move |c| format!("{c} {name}")))
        .collect()
}
