//! Connections that do nothing but exist: their memory, and the processor time of their heartbeats.

use super::effort::Effort;
use super::peers::{Bench, Peer, Stage};
use super::sample::run;
use super::server;
use super::table::Table;

/// This many connections over one transport.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) name: &'static str,
    scheme: &'static str,
    connections: u32,
    peers: &'static [Peer],
}

/// What a server has open besides its connections.
const OTHER_FILES: u32 = 100;

/// tokio-tungstenite would need 2.6 GB for as many as 20,000, so there is no bare echo of ws.
pub(super) const IDLES: [Idle; 3] = [
    Idle { name: "idle tcp", scheme: "tcp", connections: 5_000, peers: &[Peer::Bare, Peer::Due, Peer::Wasm] },
    Idle { name: "idle ws", scheme: "ws", connections: 20_000, peers: &[Peer::Due, Peer::Wasm] },
    Idle { name: "idle kcp", scheme: "kcp", connections: 500, peers: &[Peer::Bare, Peer::Due, Peer::Wasm] },
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
        let connections = (self.connections / effort.fewer).min(server::open_files_max()?.saturating_sub(OTHER_FILES));
        let name = format!("{connections} {}", self.name);
        let connections = connections.to_string();
        for peer in bench.those_of(self.peers) {
            println!("{name}, {peer}");
            let server = bench.start(peer, Stage::Echo, self.scheme)?;
            let (process, seconds) = (server.process().to_string(), effort.idle_seconds.to_string());
            let arguments = ["--idle", "--connections", &connections, "--process", &process, "--seconds", &seconds];
            let sample = match run(bench, &arguments, server.url(self.scheme)?, "opened") {
                Ok(sample) => sample,
                Err(error) => {
                    table.trouble(format!("{name}, {peer}: {error:#}"));
                    continue;
                }
            };
            for (figure, unit, key) in FIGURES {
                table.add(&format!("{name}, {figure}"), unit, peer, sample.number(key)?);
            }
            let silent = sample.number("opened")? - sample.number("heard")?;
            if silent > 0.0 {
                table.trouble(format!("{name}, {peer}: {silent} connections never heard anything"));
            }
            if let Some(trouble) = sample.trouble() {
                table.trouble(format!("{name}, {peer}: {trouble}"));
            }
        }
        Ok(())
    }
}
