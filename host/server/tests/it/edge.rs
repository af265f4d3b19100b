//! What arrives on the wire, from broken bytes to many clients at once.
//!
//! Sizes are small here. `cargo xtask suite edge` runs the same with `DUET_SUITE=full`.

mod autobahn;
mod broadcasts;
mod crowd;
mod errors;
mod farewells;
mod floods;
mod frames;
mod frozen;
mod garbage;
mod half_closed;
mod heartbeats;
mod large_bodies;
mod logins;
mod order;
mod overload;
mod profiles;
mod progress;
mod proxies;
mod resumption;
mod sizes;
mod slow_readers;
mod spoofed;
mod stalls;
mod tls;
mod upgrades;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use duet_testkit::{Honest, Message, Peer, Server, ServerBuilder, Waits, guest};
use serde_json::Value;

/// Routes of the plugin `lobby`.
mod lobby {
    pub(super) const LOGIN: i16 = 1;
    pub(super) const LOGOUT: i16 = 2;
    pub(super) const WHOAMI: i16 = 3;
    pub(super) const BROADCAST: i16 = 6;
    pub(super) const JOIN: i16 = 7;
    pub(super) const PUBLISH: i16 = 9;
    pub(super) const COUNTS: i16 = 12;
    pub(super) const BLOB: i16 = 17;
    pub(super) const ECHO: i16 = 18;
    /// The route of a broadcast.
    pub(super) const BROADCASTED: i16 = 102;
    /// The route of what was published.
    pub(super) const PUBLISHED: i16 = 103;
}

const MIB: f64 = (1 << 20) as f64;
/// How long a baseline is measured.
const BASELINE: Duration = Duration::from_millis(1500);
/// A line of `[gateway]` for clients that are silent for as long as an attack on others takes.
const PATIENT: &str = "heartbeat_interval = \"5m\"\n";
/// Longer than anything takes that has no deadline of its own.
const SOON: Duration = Duration::from_secs(20);

fn lobby_server() -> ServerBuilder {
    Server::builder(env!("CARGO_BIN_EXE_duet")).plugin("lobby", guest("lobby"))
}

/// Asks the lobby something that it answers with json.
fn ask(peer: &mut Peer, route: i16, body: &str) -> Value {
    try_ask(peer, route, body).unwrap_or_else(|other| panic!("route {route}, {body}: {other:?}"))
}

fn try_ask(peer: &mut Peer, route: i16, body: &str) -> Result<Value, Message> {
    peer.call(route, body.as_bytes()).map(|answer| serde_json::from_slice(&answer).expect("json"))
}

/// Connections of a server with the lobby, the asking one included.
fn connections(peer: &mut Peer) -> u64 {
    ask(peer, lobby::COUNTS, "{}")["connections"].as_u64().expect("a number")
}

/// Waits until there are this many connections, and returns how long that took.
fn wait_for_connections(peer: &mut Peer, wanted: u64, patience: Duration) -> Duration {
    let begun = Instant::now();
    loop {
        let now = connections(peer);
        if now == wanted {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < patience, "{now} connections instead of {wanted} after {:?}", begun.elapsed());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What well-behaved clients have to wait while nothing else happens.
fn baseline(start: impl FnOnce() -> Honest) -> Waits {
    let honest = start();
    std::thread::park_timeout(BASELINE);
    honest.stop()
}

/// One of many addresses of this machine, none of which is 127.0.0.x.
fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x7f01_0000 + u32::try_from(number).expect("few addresses"))
}

/// Runs two waits side by side.
fn beside(before: &Waits, during: &Waits) -> String {
    format!("{} calls, 0 failed, p99 {:.1} ms (before: {:.1} ms)", during.count(), during.p99_ms(), before.p99_ms())
}

/// What an attack takes in memory when it is done once more after `most` bytes were seen. A leak takes as much every time; the
/// allocator, which gets memory in large pieces, only now and then.
fn takes_mib(server: &Server, mut most: u64, mut attack: impl FnMut()) -> f64 {
    let mut grown = 0.0;
    for _ in 0..3 {
        attack();
        grown = grown_mib(server, most);
        if grown < 1.0 {
            break;
        }
        most = server.rss_bytes();
    }
    grown
}

fn grown_mib(server: &Server, before: u64) -> f64 {
    server.rss_bytes().saturating_sub(before) as f64 / MIB
}

/// The number behind `name=` in the last line of a log, 0 if it is not there.
fn counted(line: &str, name: &str) -> u64 {
    let words = line.split(|c: char| c.is_whitespace() || c == '"');
    words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok()).next().unwrap_or(0)
}
