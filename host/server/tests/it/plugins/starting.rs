//! The time in which plugins are still being compiled.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use duet_testkit::{Message, Peer, Wire, guest};

use super::UNAVAILABLE;
use super::launched::Launched;
use super::single::SINGLE;
use crate::program::Place;

const UNKNOWN_ROUTE: u16 = 3;

#[test]
fn a_route_of_a_plugin_that_still_compiles_is_unavailable_and_only_later_unknown() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("plugins")).unwrap();
    fs::copy(guest("hostile"), folder.path().join("plugins/hostile.wasm")).unwrap();
    let settings = "cache = \"cache\"\n[runtime]\nstart_wait = \"0s\"\n[[listener]]\nprotocol = \"tcp\"\naddress = \"127.0.0.1:0\"\n";
    fs::write(folder.path().join("duet.toml"), settings).unwrap();
    let server = Launched::start(folder.path());
    let (address, _) = server.ready(Duration::from_secs(60));
    assert!(server.out.lines().iter().any(|l| l.starts_with("compiling  ")), "{:?}", server.out.lines());
    let mut peer = Peer::connect(address, Wire::TCP);
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut early = 0;
    loop {
        match peer.call(111, b"x") {
            Ok(body) => break assert_eq!(body, b"x"),
            Err(Message::Error { code, text, .. }) => {
                assert_eq!((code, text.as_str()), (UNAVAILABLE, "compiling"), "after {early} answers");
                early += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        assert!(Instant::now() < deadline, "it does not serve:\n{}", server.log.lines().join("\n"));
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(early > 0, "compiled before the first call");
    // The last plugin serves a moment before everybody knows that it was the last.
    while let Err(Message::Error { code: UNAVAILABLE, .. }) = peer.call(9999, b"") {
        assert!(Instant::now() < deadline, "an unknown route never becomes unknown");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(matches!(peer.call(9999, b""), Err(Message::Error { code: UNKNOWN_ROUTE, .. })));
    eprintln!("compiling: {early} calls were answered `unavailable`, then it served, and an unknown route is unknown");
}

#[test]
fn limits_that_an_operator_has_set_for_the_server_are_kept_and_no_plugin_is_blamed() {
    let place = Place::cold("").plugin("single", SINGLE);
    // A lowered limit only stays lowered without the privileges of root.
    let script = r#"ulimit -t 1000; [ "$(id -u)" = 0 ] && exec setpriv --bounding-set -all --inh-caps -all "$0" "$@"; exec "$0" "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_duet"), "check", "plugins/single.wasm", "--config", "duet.toml"]);
    let output = command.current_dir(place.path("")).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.contains("compiled"), "{said}");
}
