//! What is in the drop folder and of no use, names that would control a terminal, and the links of a Kubernetes volume.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use duet_testkit::{Peer, Server, Wire, guest};

use crate::ECHO;
use crate::plugins::SINGLE;
use crate::program::Place;

fn builder() -> duet_testkit::ServerBuilder {
    Server::builder(env!("CARGO_BIN_EXE_duet"))
}

/// The lines of the log that have all of these parts.
fn count(log: &str, parts: &[&str]) -> usize {
    log.lines().filter(|line| line.contains("WARN") && parts.iter().all(|part| line.contains(part))).count()
}

#[test]
fn what_would_be_passed_over_is_warned_of_once() {
    let single = fs::read(SINGLE).unwrap();
    let server = builder()
        .plugin("single", SINGLE)
        .file("OTHER.WASM", &single)
        .file("nobody.toml", "instances = 2\n")
        .settings("[plugin.single]\ninstances = 2\n[plugin.absent]\ninstances = 2\n")
        .start();
    assert!(server.terminate().0.success());
    let log = server.log();
    for parts in [
        ["plugins/OTHER.WASM: not loaded", "OTHER.wasm"],
        ["plugins/nobody.toml: settings without a plugin", "no nobody.wasm"],
        ["[plugin.absent]: settings without a plugin", "no absent.wasm in /"],
    ] {
        assert_eq!(count(&log, &parts), 1, "{parts:?}:\n{log}");
    }
    assert_eq!(count(&log, &[]), 3, "{log}");
}

#[test]
fn a_plugin_folder_that_is_empty_or_missing_is_warned_of_with_its_whole_path() {
    let empty = builder().start();
    assert!(empty.terminate().0.success());
    let folder = empty.folder().canonicalize().unwrap();
    let path = |name: &str| format!("{}: ", folder.join(name).display());
    assert_eq!(count(&empty.log(), &[&path("plugins"), "no plugin in this folder"]), 1, "{}", empty.log());
    assert_eq!(count(&empty.log(), &[]), 1, "{}", empty.log());

    let missing = builder().whole_config("plugins = \"nowhere\"\n[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:0\"\n").start();
    assert!(missing.terminate().0.success());
    let folder = missing.folder().canonicalize().unwrap();
    let path = format!("{}: No such file or directory", folder.join("nowhere").display());
    assert_eq!(count(&missing.log(), &[&path]), 1, "{}", missing.log());
    assert_eq!(count(&missing.log(), &[]), 1, "{}", missing.log());
}

/// Colours the terminal, in two ways, begins a line of its own, and goes back to the start of one.
const STEERING: &str = "a\u{1b}[31mb\u{9b}31mc\n2026-01-01 ERROR forged\rd";

fn steers(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') || text.lines().any(|line| line.starts_with("2026-01-01"))
}

#[test]
fn control_characters_in_the_names_of_files_never_reach_the_terminal() {
    for format in ["text", "json"] {
        let server = builder()
            .plugin(STEERING, SINGLE)
            .file(&format!("bad{STEERING}.wasm"), "not wasm")
            .file(&format!("BAD{STEERING}.WASM"), "not wasm")
            .file(&format!("none{STEERING}.toml"), "instances = 2\n")
            .file(&format!("bad2{STEERING}.wasm"), "not wasm")
            .file(&format!("bad2{STEERING}.toml"), "\"wrong\\u001b[31m\" = 1\n")
            .settings(&format!("[log]\nlevel = \"trace\"\nformat = \"{format}\"\n"))
            .start();
        assert_eq!(Peer::connect(server.tcp(), Wire::TCP).call(211, b"on").as_deref(), Ok(b"on".as_slice()));
        assert!(server.terminate().0.success());
        assert!(server.banner().contains("plugin     a\\u{1b}[31mb\\u{9b}31mc\\n2026-01-01 ERROR forged\\rd 0."), "{}", server.banner());
        assert!(!steers(server.banner()) && !steers(&server.log()), "{:?}\n{:?}", server.banner(), server.log());
        assert!(server.log().contains("plugin refused") && server.log().contains("settings without a plugin"), "{}", server.log());
        if format == "json" {
            assert!(server.log().lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{}", server.log());
        }
    }
    let place = Place::warm("").plugin(STEERING, SINGLE);
    fs::write(place.path("plugins").join(format!("bad{STEERING}.wasm")), "not wasm").unwrap();
    for name in [STEERING.to_owned(), format!("bad{STEERING}")] {
        let file = format!("plugins/{name}.wasm");
        let output = place.duet(["check", &file, "--config", "duet.toml"]).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains("forged") && !steers(&said), "{said:?}");
    }
}

#[test]
fn the_links_of_a_kubernetes_volume_are_followed_inside_of_the_folder() {
    let place = Place::warm("");
    let plugins = place.path("plugins");
    let data = plugins.join("..2026_11_27.1");
    fs::create_dir(&data).unwrap();
    fs::copy(guest("hostile"), data.join("hostile.wasm")).unwrap();
    fs::write(data.join("hostile.toml"), "[config]\nread = true\n").unwrap();
    symlink("..2026_11_27.1", plugins.join("..data")).unwrap();
    for name in ["hostile.wasm", "hostile.toml"] {
        symlink(format!("..data/{name}"), plugins.join(name)).unwrap();
    }
    symlink(guest("echo"), plugins.join("outside.wasm")).unwrap();
    symlink("../plugins/..data/hostile.wasm", plugins.join("around.wasm")).unwrap();
    let mut server = crate::program::Running::start(place.serve().stderr(Stdio::piped()));
    place.wait_until_open(&mut server);
    let mut peer = Peer::connect(place.address(), Wire::TCP);
    assert_eq!(peer.call(ECHO, b"on").as_deref(), Ok(b"on".as_slice()));
    drop(peer);
    server.send("TERM");
    let log = std::io::read_to_string(server.stderr()).unwrap();
    assert!(server.wait().success());
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("ERROR") || line.contains("WARN")).collect();
    assert!(lines.iter().any(|line| line.contains("outside.wasm: it is a link that leads out of its folder")), "{log}");
    // The same routes: it was read, and lost against the first by name.
    assert_eq!(lines.len(), 2, "{log}");
}

#[test]
fn settings_behind_a_link_that_leads_out_of_the_folder_are_not_read() {
    let place = Place::warm("").plugin("single", SINGLE);
    fs::write(place.path("outside.toml"), "memory = \"32MiB\"\n").unwrap();
    symlink("../outside.toml", place.path("plugins/single.toml")).unwrap();
    let output = place.duet(["check", "plugins/single.wasm", "--config", "duet.toml"]).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "plugins/single.toml: cannot be read: it is a link that leads out of its folder";
    assert!(!output.status.success() && said.contains(expected), "{said}");
}

#[test]
fn settings_behind_a_link_that_leads_nowhere_are_not_taken_for_none() {
    let place = Place::warm("").plugin("single", SINGLE);
    symlink("..data/single.toml", place.path("plugins/single.toml")).unwrap();
    let output = place.duet(["check", "plugins/single.wasm", "--config", "duet.toml"]).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("plugins/single.toml: cannot be read: No such file"), "{said}");
}

#[test]
fn a_cause_is_said_once() {
    let place = Place::warm("");
    let address = format!("tcp://{}", place.address());
    let _listening = std::net::TcpListener::bind(place.address()).unwrap();
    let output = place.duet(["client", &address, "--send", "1", "--body", "@absent"]).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "duet: cannot read absent: No such file or directory (os error 2)\n");
}
