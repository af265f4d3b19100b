//! Peers as processes: built or fetched once, run side by side, and judged by their last line.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use duet_core::Mutex;

/// Whether the caller has to do without a peer's tools: `go`, `node`, `chromium`, `clang`.
pub(crate) fn is_skipped(tool: &str) -> bool {
    let skipped = env::var("DUET_SKIP_CLIENTS").is_ok_and(|list| list.split(',').any(|name| name == tool));
    if skipped {
        eprintln!("SKIPPED: DUET_SKIP_CLIENTS says that there is no {tool}");
    }
    skipped
}

/// A folder of the repository.
pub(crate) fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The due client, built once.
pub(crate) fn go_due() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("go-due{}", env::consts::EXE_SUFFIX));
        succeed(Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(folder("host/testkit/peers/go-due")));
        program
    })
}

/// The folder of the npm clients, its modules fetched once.
pub(super) fn npm_ws() -> &'static Path {
    static FETCHED: OnceLock<PathBuf> = OnceLock::new();
    FETCHED.get_or_init(|| with_modules(folder("host/testkit/peers/npm-ws")))
}

/// A folder with its npm modules, as its lock file has them. The SDK is built along with them.
pub(super) fn with_modules(folder: PathBuf) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let changed = |path: &str| folder.join(path).metadata().and_then(|file| file.modified()).ok();
    // npm writes this file when it is done.
    if changed("node_modules/.package-lock.json") < changed("package-lock.json") {
        succeed(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder));
    }
    folder
}

/// Runs a program that has to succeed and returns what it printed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?} ended with {}:\n{}", output.status, text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs peers side by side, each to its end, and reports all that did not pass.
pub(super) fn all_pass(peers: Vec<Command>) {
    assert!(!peers.is_empty());
    let failed: Vec<String> = std::thread::scope(|scope| {
        // All are started before the first is waited for.
        let running: Vec<_> = peers.into_iter().map(|mut peer| scope.spawn(move || judge(&mut peer))).collect();
        running.into_iter().filter_map(|peer| peer.join().expect("a peer was run")).collect()
    });
    assert!(failed.is_empty(), "{} did not pass:\n{}", failed.len(), failed.join("\n"));
}

/// Runs a peer that must not pass, and that has to say why.
pub(super) fn fails(mut peer: Command, why: &str) {
    let output = run(&mut peer);
    assert!(!output.status.success() && text(&output).contains(why), "{peer:?} did not fail with {why:?}:\n{}", text(&output));
}

/// What a peer said, if it did not pass. Peers end by themselves within 20 s, those that play a session within a minute.
fn judge(peer: &mut Command) -> Option<String> {
    let output = run(peer);
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{peer:?}\n{said}");
    let passed = output.status.success() && said.lines().last() == Some("result=pass");
    (!passed).then(|| format!("{peer:?} ended with {}:\n{}", output.status, text(&output)))
}

fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}; `cargo xtask test` skips clients whose tools are missing"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
