//! The plugins in TypeScript, served to a client.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use duet_testkit::{Message, Peer, Server, Wire};

use super::programs::{folder, is_skipped, succeed, with_modules};

/// The component of a plugin; built if it is not there.
fn component(name: &str) -> PathBuf {
    let source = folder("plugins").join(name);
    let built = source.join("dist").join(name).with_extension("wasm");
    if !built.is_file() {
        with_modules(folder("sdk/js"));
        succeed(Command::new("npm").args(["run", "--silent", "build"]).current_dir(with_modules(source)));
    }
    built
}

#[test]
fn plugins_in_typescript_reply_and_push() {
    if is_skipped("node") {
        return;
    }
    let server = Server::builder(env!("CARGO_BIN_EXE_duet"))
        .plugin("echo-ts", component("echo-ts"))
        .plugin("greet-ts", component("greet-ts"))
        .file("greet-ts.toml", "[config]\ngreeting = \"salve\"\n")
        .start();
    let ask = |route: &str, body: &str| {
        let url = format!("tcp://{}", server.tcp());
        succeed(Command::new(env!("CARGO_BIN_EXE_duet")).args(["client", &url, "--send", route, "--body", body, "--wait", "2000"]))
    };
    let echoed = ask("11", r#"{"message":"grüße"}"#);
    assert!(echoed.contains(r#"{"message":"grüße"}"#), "{echoed}");
    let greeted = ask("12", r#"{"name":"due"}"#);
    assert!(greeted.contains(r#"{"message":"salve due"}"#), "{greeted}");
    let again = ask("12", r#"{"name":"due"}"#);
    assert!(again.contains(r#"{"greeted":2}"#), "the memory of a plugin is its state: {again}");
}

/// A new component of this size takes long to compile on a busy machine.
const PATIENT: &str = "[runtime]\nstart_wait = \"5m\"\ncompile_timeout = \"5m\"\n";

/// A plugin with its error in another file than its handler.
const FAILING: [(&str, &str); 2] = [
    (
        "plugin.ts",
        "import { definePlugin } from \"@duet/plugin\";
import { roll } from \"./dice\";

interface Roll {
  sides: number;
}

export default definePlugin({
  name: \"failing\",
  version: \"1\",
  routes: { 1: { handle: (_, request: Roll) => roll(request.sides) } },
});
",
    ),
    (
        "dice.ts",
        "/** A comment, types and blank lines, which no bundle has. */
type Sides = number;

export function roll(sides: Sides): number {

  if (sides > 6) throw new RangeError(`no die has ${sides} sides`);
  return sides;
}
",
    ),
];

#[test]
fn an_error_in_typescript_is_one_line_that_names_its_source() {
    if is_skipped("node") {
        return;
    }
    let sdk = with_modules(folder("sdk/js")).canonicalize().unwrap();
    let project = tempfile::tempdir().unwrap();
    fs::create_dir_all(project.path().join("node_modules/@duet")).unwrap();
    std::os::unix::fs::symlink(&sdk, project.path().join("node_modules/@duet/plugin")).unwrap();
    fs::write(
        project.path().join("tsconfig.json"),
        r#"{"compilerOptions":{"moduleResolution":"bundler","module":"esnext","strict":true}}"#,
    )
    .unwrap();
    for (name, text) in FAILING {
        fs::write(project.path().join(name), text).unwrap();
    }
    for minify in [None, Some("--minify")] {
        let mut build = Command::new("node");
        build.arg(sdk.join("bin/build-plugin.mjs")).args(["plugin.ts", "-o", "failing.wasm"]).args(minify).current_dir(project.path());
        succeed(&mut build);
        let server =
            Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("failing", project.path().join("failing.wasm")).settings(PATIENT).start();
        let asked = Peer::connect(server.tcp(), Wire::TCP).call(1, br#"{"sides":7}"#);
        assert!(matches!(asked, Err(Message::Error { code: 1, .. })), "{asked:?}");
        let line = server.wait_for_log("no die has 7 sides", Duration::from_secs(10));
        assert!(line.contains("route 1: RangeError: no die has 7 sides at "), "{line}");
        assert!(line.contains("dice.ts:6) at ") && line.contains("plugin.ts:11)"), "{line}");
        assert!(!line.contains("user.js") && !line.contains("dispatch.ts"), "{line}");
    }
}
