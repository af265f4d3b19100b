//! Connections that do nothing but live: their memory, and the processor time of their heartbeats.

use super::Effort;
use super::peers::{Bench, Peer, Stage};
use super::sample::run;
use super::table::Table;

/// So many connections over one transport.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) name: &'static str,
    scheme: &'static str,
    connections: u32,
    peers: &'static [Peer],
}

/// tokio-tungstenite would need 2.6 GB for as many as 20,000, so there is no bare echo of ws.
pub(super) const IDLES: [Idle; 3] = [
    Idle { name: "idle tcp 5000", scheme: "tcp", connections: 5_000, peers: &[Peer::Bare, Peer::Due, Peer::Wasm] },
    Idle { name: "idle ws 20000", scheme: "ws", connections: 20_000, peers: &[Peer::Due, Peer::Wasm] },
    Idle { name: "idle kcp 500", scheme: "kcp", connections: 500, peers: &[Peer::Bare, Peer::Due, Peer::Wasm] },
];

/// What `duet bench --idle` says, and what the table calls it.
const FIGURES: [(&str, &str, &str); 4] = [
    ("memory before", "MiB", "memory_before_mib"),
    ("memory with all", "MiB", "memory_held_mib"),
    ("memory of each", "KiB", "memory_each_kib"),
    ("CPU", "%", "cpu_percent"),
];

impl Idle {
    /// Adds the memory of a server before, what a connection adds to it, and the part of a core that all of them take.
    pub(super) fn measure(&self, bench: &Bench<'_>, effort: Effort, table: &mut Table) -> anyhow::Result<()> {
        for peer in bench.those_of(self.peers) {
            println!("{}, {peer}", self.name);
            let server = bench.start(peer, Stage::Echo, self.scheme)?;
            let (process, seconds) = (server.process().to_string(), effort.idle_seconds.to_string());
            let connections = (self.connections / effort.fewer).to_string();
            let arguments = ["--idle", "--connections", &connections, "--process", &process, "--seconds", &seconds];
            let sample = match run(bench, &arguments, server.url(self.scheme)?, "opened") {
                Ok(sample) => sample,
                Err(error) => {
                    table.trouble(format!("{}, {peer}: {error:#}", self.name));
                    continue;
                }
            };
            for (name, unit, key) in FIGURES {
                table.add(&format!("{} {name}", self.name), unit, peer, sample.number(key)?);
            }
            let silent = sample.number("opened")? - sample.number("heard")?;
            if silent > 0.0 {
                table.trouble(format!("{}, {peer}: {silent} connections never heard anything", self.name));
            }
            if let Some(trouble) = sample.trouble() {
                table.trouble(format!("{}, {peer}: {trouble}", self.name));
            }
        }
        Ok(())
    }
}
