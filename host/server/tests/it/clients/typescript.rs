//! The plugins in TypeScript, served to a client.

use std::path::PathBuf;
use std::process::Command;

use duet_testkit::Server;

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
