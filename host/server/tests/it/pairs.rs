//! Settings that are each allowed but do not go together: reported at start, and by `duet check`.

use std::process::Stdio;
use std::time::Duration;

use duet_testkit::{Peer, Wire, guest};

use crate::program::Place;
use crate::{ECHO, echo_server};

const OF_THE_SERVER: [&str; 4] = [
    "gateway.first_packet_timeout = 4s is below gateway.packet_timeout = 5s: a first packet has less time than others",
    "gateway.drain_spread = 1s is above drain_timeout = 500ms: the last connections are closed all at once",
    "limits.addresses_max = 100 is below gateway.connections_max = 10000",
    "gateway.first_packet_timeout = 4s is not above heartbeat_interval = 10s of listener[0]",
];
const OF_THE_PLUGIN: &str = "queue_timeout = 40ms is below call_budget = 50ms: what waits behind one long call is answered `timeout`";

#[test]
fn pairs_that_do_not_go_together_are_warned_of_when_a_server_starts_and_it_serves() {
    let server = echo_server()
        .settings("drain_timeout = \"500ms\"\n[gateway]\nfirst_packet_timeout = \"4s\"\n[limits]\naddresses_max = 100\n")
        .listener("protocol = \"tcp\"\n")
        .file("hostile.toml", "queue_timeout = \"40ms\"\n")
        .start();
    for pair in OF_THE_SERVER {
        let line = server.wait_for_log(pair, Duration::from_secs(10));
        assert!(line.contains("WARN"), "{line}");
    }
    let line = server.wait_for_log(OF_THE_PLUGIN, Duration::from_secs(10));
    assert!(line.contains("WARN") && line.contains("hostile.wasm"), "{line}");
    assert_eq!(server.log().matches("WARN").count(), OF_THE_SERVER.len() + 1, "{}", server.log());
    assert_eq!(Peer::connect(server.tcp(), Wire::TCP).call(ECHO, b"on").as_deref(), Ok(b"on".as_slice()));
    let usual = echo_server().start();
    assert!(!usual.log().contains("WARN"), "{}", usual.log());
}

#[test]
fn check_warns_of_the_pairs_of_a_plugin() {
    let place = Place::warm("[plugin.hostile]\nqueue_timeout = \"40ms\"\n").plugin("hostile", guest("hostile"));
    let output = place.duet(["check", "plugins/hostile.wasm", "--config", "duet.toml"]).stdout(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains(&format!("\nwarning  {OF_THE_PLUGIN}")), "{said}");
}
