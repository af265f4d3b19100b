//! The folder of plugins, while the server runs.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use duet_testkit::{Message, Peer, Server, Wire, counter};

use super::{KEPT, ROUTES, count, count_until, counting, told, told_json, version, wait_until};

const UNKNOWN_ROUTE: u16 = 3;
const LONG: Duration = Duration::from_secs(90);

fn path(server: &Server, name: &str) -> PathBuf {
    server.folder().join("plugins").join(name)
}

/// As an editor or a deployment does it.
fn rename_in(server: &Server, name: &str, component: &[u8]) {
    let aside = path(server, &format!("{name}.tmp"));
    fs::write(&aside, component).unwrap();
    fs::rename(aside, path(server, name)).unwrap();
}

fn versions(server: &Server) -> Vec<String> {
    let list = told_json(server, &["list"]);
    let shown = |plugin: &serde_json::Value| format!("{} {}", plugin["name"].as_str().unwrap(), plugin["version"].as_str().unwrap());
    list["plugins"].as_array().unwrap().iter().map(shown).collect()
}

fn is_unknown(peer: &mut Peer, route: i16) -> bool {
    matches!(peer.call(route, b""), Err(Message::Error { code: UNKNOWN_ROUTE, .. }))
}

#[test]
fn a_new_file_is_loaded_a_changed_one_replaces_it_and_without_it_the_plugin_is_withdrawn() {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).start();
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    assert!(is_unknown(&mut peer, 1));
    rename_in(&server, "counter.wasm", &version(1));
    wait_until("loaded", &server, || !is_unknown(&mut peer, 1));
    let last = count(&mut peer).0;
    rename_in(&server, "counter.wasm", &version(2));
    let last = count_until(&mut peer, last, 2);
    // Written in its place.
    fs::write(path(&server, "counter.wasm"), version(3)).unwrap();
    count_until(&mut peer, last, 3);
    fs::remove_file(path(&server, "counter.wasm")).unwrap();
    wait_until("withdrawn", &server, || is_unknown(&mut peer, 1));
    server.wait_for_log("plugin withdrawn", LONG);
    assert!(told(&server, &["list"]).starts_with("no plugin serves"));
    // And back, anew.
    rename_in(&server, "counter.wasm", &version(4));
    wait_until("loaded again", &server, || !is_unknown(&mut peer, 1));
    assert_eq!(count(&mut peer).1, 4);
    server.stop();
}

#[test]
fn a_file_that_is_written_in_pieces_is_taken_when_it_is_whole() {
    let (server, mut peer) = counting("");
    let component = version(2);
    let mut file = File::options().write(true).truncate(true).open(path(&server, "counter.wasm")).unwrap();
    let mut last = 0;
    for piece in component.chunks(component.len().div_ceil(20)) {
        let (count, number) = count(&mut peer);
        assert_eq!((count, number), (last + 1, 1), "half a file serves");
        last = count;
        file.write_all(piece).unwrap();
        std::thread::park_timeout(Duration::from_millis(30));
    }
    drop(file);
    count_until(&mut peer, last, 2);
}

#[test]
fn a_file_that_stays_half_is_refused_and_the_version_before_it_goes_on() {
    let (server, mut peer) = counting("");
    let component = version(2);
    fs::write(path(&server, "counter.wasm"), &component[..component.len() / 2]).unwrap();
    server.wait_for_log("plugin refused: plugins/counter.wasm", LONG);
    assert_eq!(count(&mut peer), (1, 1));
    wait_until("listed", &server, || told(&server, &["list"]).contains("\nrefused     counter.wasm, "));
    fs::write(path(&server, "counter.wasm"), &component).unwrap();
    let last = count_until(&mut peer, 1, 2);
    wait_until("in order", &server, || !told(&server, &["list"]).contains("refused"));
    // One that does not restore what the other saves is refused as well, and listed.
    rename_in(&server, "counter.wasm", &counter(3, &ROUTES, KEPT, &[("RESTORE", "unreachable")]));
    wait_until("listed", &server, || told(&server, &["list"]).contains("the state of instance 0"));
    assert_eq!(count(&mut peer), (last + 1, 2));
}

#[test]
fn other_settings_of_a_plugin_are_taken_without_a_new_file() {
    let (server, mut peer) = counting("");
    assert_eq!(count(&mut peer), (1, 1));
    let changes = || told_json(&server, &["log", "counter"])["changes"].as_array().unwrap().len();
    fs::write(path(&server, "counter.toml"), "call_budget = \"200ms\"\n").unwrap();
    wait_until("replaced", &server, || changes() == 2);
    assert_eq!(count(&mut peer), (2, 1));
    fs::write(path(&server, "counter.toml"), "call_buget = \"200ms\"\n").unwrap();
    server.wait_for_log("did you mean `call_budget`", LONG);
    // As before, so there is nothing to do but to forget that it was refused.
    fs::write(path(&server, "counter.toml"), "call_budget = \"200ms\"\n").unwrap();
    wait_until("in order", &server, || !told(&server, &["list"]).contains("refused"));
    assert_eq!((count(&mut peer), changes()), ((3, 1), 2));
    fs::write(path(&server, "counter.toml"), "enabled = false\n").unwrap();
    wait_until("withdrawn", &server, || is_unknown(&mut peer, 1));
    fs::remove_file(path(&server, "counter.toml")).unwrap();
    wait_until("loaded", &server, || !is_unknown(&mut peer, 1));
}

#[test]
fn a_volume_whose_links_are_exchanged_as_a_whole_is_followed() {
    let server = Server::builder(env!("CARGO_BIN_EXE_duet")).start();
    let mut peer = Peer::connect(server.tcp(), Wire::TCP);
    for number in 1..=3 {
        let folder = path(&server, &format!("..{number}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("counter.wasm"), version(number)).unwrap();
    }
    symlink("..1", path(&server, "..data")).unwrap();
    symlink("..data/counter.wasm", path(&server, "counter.wasm")).unwrap();
    wait_until("loaded", &server, || !is_unknown(&mut peer, 1));
    let mut last = count(&mut peer).0;
    for number in 2..=3 {
        symlink(format!("..{number}"), path(&server, "..data_tmp")).unwrap();
        fs::rename(path(&server, "..data_tmp"), path(&server, "..data")).unwrap();
        last = count_until(&mut peer, last, number);
    }
}

#[test]
fn a_folder_in_the_place_of_the_folder_is_followed_and_its_loss_takes_no_plugin_away() {
    let (server, mut peer) = counting("");
    let plugins = server.folder().join("plugins");
    fs::rename(&plugins, server.folder().join("before")).unwrap();
    server.wait_for_log("the plugins that serve go on", LONG);
    assert_eq!(count(&mut peer), (1, 1));
    let after = server.folder().join("after");
    fs::create_dir(&after).unwrap();
    fs::write(after.join("counter.wasm"), version(2)).unwrap();
    fs::rename(after, &plugins).unwrap();
    let last = count_until(&mut peer, 1, 2);
    // It is watched as well.
    rename_in(&server, "counter.wasm", &version(3));
    count_until(&mut peer, last, 3);
}

#[test]
fn a_flood_of_changes_ends_with_what_was_written_last() {
    const PLUGINS: u32 = 12;
    let (server, mut peer) = counting("");
    for number in 0..PLUGINS {
        rename_in(&server, &format!("plugin-{number:02}.wasm"), &counter(1, &[100 + number as i32], None, &[]));
    }
    wait_until("all loaded", &server, || versions(&server).len() == PLUGINS as usize + 1);
    let mut last = 0;
    for number in 2..40 {
        if number % 2 == 0 {
            rename_in(&server, "counter.wasm", &version(number));
        } else {
            fs::write(path(&server, "counter.wasm"), version(number)).unwrap();
        }
        last += 1;
        assert_eq!(count(&mut peer).0, last);
    }
    count_until(&mut peer, last, 39);
    server.stop();
}

#[test]
fn without_help_of_the_system_the_folder_is_looked_at_now_and_then() {
    let place = crate::program::Place::warm("[log]\nlevel = \"info\"\n");
    // A user of its own has limits of its own.
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"";
    let program = env!("CARGO_BIN_EXE_duet");
    let unshared = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["-Ur", "sh", "-c", script, program, "run", "--config", "duet.toml"]).current_dir(place.path(""));
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        command
    };
    let may = unshared("echo 0 > /proc/sys/user/max_inotify_instances").stderr(std::process::Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: this user may not make a namespace");
        return;
    }
    let log = File::create(place.path("log")).unwrap();
    let mut server = crate::program::Running::start(unshared(script).stderr(log));
    place.wait_until_open(&mut server);
    let text = || fs::read_to_string(place.path("log")).unwrap();
    let mut peer = Peer::connect(place.address(), Wire::TCP);
    fs::write(place.path("plugins/counter.wasm"), version(1)).unwrap();
    server.wait_until("not loaded", || !is_unknown(&mut peer, 1));
    fs::write(place.path("plugins/counter.wasm"), version(2)).unwrap();
    let last = count(&mut peer).0;
    count_until(&mut peer, last, 2);
    let told = text().lines().filter(|line| line.contains("does not tell of changes")).count();
    assert_eq!(told, 1, "{}", text());
}
