//! Loads, and what `duet bench --line` says about one.

use std::collections::BTreeMap;

use anyhow::Context;

use super::effort::Effort;
use super::peers::{Bench, Peer, Stage};
use super::server::Server;
use crate::process::program;

/// A load on a server.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) scheme: &'static str,
    pub(super) stage: Stage,
    pub(super) peers: &'static [Peer],
    connections: u32,
    /// What else `duet bench` is told.
    arguments: &'static [&'static str],
    pub(super) figures: &'static [Figure],
}

/// A figure of a load that goes into the table.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) key: &'static str,
    pub(super) scale: f64,
}

const RATE: Figure = Figure { name: "rate", unit: "k/s", key: "rate", scale: 1e-3 };
const P50_MS: Figure = Figure { name: "p50", unit: "ms", key: "p50_us", scale: 1e-3 };
const P99_MS: Figure = Figure { name: "p99", unit: "ms", key: "p99_us", scale: 1e-3 };
const P50_US: Figure = Figure { name: "p50", unit: "us", key: "p50_us", scale: 1.0 };
const P99_US: Figure = Figure { name: "p99", unit: "us", key: "p99_us", scale: 1.0 };

const ECHOES: &[Peer] = &[Peer::Bare, Peer::Due, Peer::Native, Peer::Wasm, Peer::Script];
const BARE_DUE_WASM: &[Peer] = &[Peer::Bare, Peer::Due, Peer::Wasm];

const ECHO: Load = Load { name: "", scheme: "tcp", stage: Stage::Echo, peers: ECHOES, connections: 1, arguments: &[], figures: &[] };
const BROADCAST: Load =
    Load { stage: Stage::Lobby, peers: &[Peer::Due, Peer::Wasm], connections: 5_000, figures: &[RATE, P50_MS, P99_MS], ..ECHO };
const CONNECT: Load = Load { peers: BARE_DUE_WASM, connections: 64, arguments: &["--connect"], figures: &[RATE, P50_MS, P99_MS], ..ECHO };
const KCP: Load = Load { scheme: "kcp", peers: BARE_DUE_WASM, connections: 10, ..ECHO };

/// All loads: pipelined, many connections, closed loop, alone, over ws, with every limit; broadcasts; connecting; pings over kcp. The
/// latency of a pipelined load only tells how long the queue is.
pub(super) const LOADS: [Load; 13] = [
    Load { name: "tcp 50 x 1024", connections: 50, arguments: &["--window", "1024"], figures: &[RATE], ..ECHO },
    Load { name: "tcp 1000 x 64", connections: 1_000, arguments: &["--window", "64"], figures: &[RATE], ..ECHO },
    Load { name: "tcp 100 x 1", connections: 100, arguments: &["--window", "1"], figures: &[RATE, P50_MS, P99_MS], ..ECHO },
    Load { name: "tcp 1 x 1", arguments: &["--window", "1"], figures: &[P50_US, P99_US], ..ECHO },
    Load { name: "ws 50 x 64", scheme: "ws", connections: 50, arguments: &["--window", "64"], figures: &[RATE], ..ECHO },
    Load {
        name: "limits, tcp 50 x 1024",
        peers: &[Peer::Wasm, Peer::Limited],
        connections: 50,
        arguments: &["--window", "1024"],
        figures: &[RATE],
        ..ECHO
    },
    Load { name: "broadcast 5000 x 32", arguments: &["--broadcast", "channel", "--window", "32"], ..BROADCAST },
    Load { name: "broadcast 5000 x 4", arguments: &["--broadcast", "channel", "--window", "4"], ..BROADCAST },
    Load { name: "broadcast 5000 x 1", arguments: &["--broadcast", "channel", "--window", "1"], ..BROADCAST },
    Load { name: "connect tcp", ..CONNECT },
    Load { name: "connect ws", scheme: "ws", ..CONNECT },
    Load { name: "kcp 10 x 1", arguments: &["--window", "1", "--letters", "100"], figures: &[P50_US, P99_US], ..KCP },
    Load {
        name: "kcp 10 x 1, 5 % lost",
        arguments: &["--window", "1", "--letters", "100", "--loss", "5"],
        figures: &[P50_US, P99_MS],
        ..KCP
    },
];

impl Load {
    /// Puts the load on a server.
    pub(super) fn run(&self, bench: &Bench<'_>, server: &Server, peer: Peer, effort: Effort) -> anyhow::Result<Sample> {
        // Fewer than a few hundred put no load on anybody.
        let connections = if self.connections >= 1_000 { self.connections / effort.fewer } else { self.connections };
        let (connections, seconds) = (connections.to_string(), effort.seconds.to_string());
        let own = ["--connections", &connections, "--seconds", &seconds, "--route", peer.route()];
        run(bench, &[&own, self.arguments].concat(), server.url(self.scheme)?, "rate")
    }
}

/// Runs `duet bench` and reads its line, which has at least the figure `need`.
pub(super) fn run(bench: &Bench<'_>, arguments: &[&str], url: &str, need: &str) -> anyhow::Result<Sample> {
    let mut command = program(&bench.program().to_string_lossy(), &bench.folder(Peer::Wasm, Stage::Echo));
    command.args(["bench", "--line", "--route-bytes", "4", "--seq-bytes", "4"]).args(arguments).arg(url);
    // It exits with 1 if something was wrong with the answers, and says so in its line.
    let output = command.output().context("starting the load")?;
    let sample = Sample::parse(&String::from_utf8_lossy(&output.stdout));
    sample.number(need).with_context(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())?;
    Ok(sample)
}

/// One line of `key=value`.
#[derive(Debug)]
pub(super) struct Sample(BTreeMap<String, String>);

impl Sample {
    fn parse(line: &str) -> Self {
        Self(line.split_whitespace().filter_map(|w| w.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    /// A figure of the line.
    pub(super) fn number(&self, key: &str) -> anyhow::Result<f64> {
        self.0.get(key).and_then(|v| v.parse().ok()).with_context(|| format!("the load did not say {key}"))
    }

    /// What makes its figures worthless.
    pub(super) fn trouble(&self) -> Option<String> {
        let wrong = |key: &&str| self.number(key).is_ok_and(|count| count > 0.0);
        let said: Vec<String> = ["errors", "bad", "unanswered", "ended"]
            .iter()
            .filter(|k| wrong(k))
            .filter_map(|k| Some(format!("{k}={}", self.0.get(*k)?)))
            .collect();
        (!said.is_empty()).then(|| said.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn a_line_of_the_load_is_read_and_its_troubles_are_named() {
        let sample = Sample::parse("endpoint=tcp://127.0.0.1:1 rate=1250 p50_us=7 errors=3 error_5=3 bad=0 unanswered=0 ended=1\n");
        assert_eq!(sample.number("rate").unwrap(), 1250.0);
        assert_eq!(sample.trouble().unwrap(), "errors=3 ended=1");
        assert!(sample.number("p75_us").is_err());
    }
}
