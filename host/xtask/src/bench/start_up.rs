//! Time to get ready, with the plugins compiled before.

use super::effort::Effort;
use super::peers::{Bench, Peer, Stage};
use super::table::Table;

/// A start takes milliseconds, so there can be more of them than of other figures.
const STARTS: usize = 7;

/// Adds the time from the start of the process to its listening line, and what the server itself says.
pub(super) fn measure(bench: &Bench<'_>, effort: Effort, table: &mut Table) -> anyhow::Result<()> {
    println!("start-up");
    for _ in 0..effort.rounds * STARTS {
        for peer in bench.those_of(&Peer::ALL) {
            let server = bench.start(peer, Stage::Echo, "tcp")?;
            table.add("start-up, process to listening", "ms", peer, server.ready().as_secs_f64() * 1e3);
            if let Some(own) = server.own_ready_ms() {
                table.add("start-up, by its banner", "ms", peer, own);
            }
        }
    }
    Ok(())
}
