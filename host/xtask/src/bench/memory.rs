//! Memory of connections that do nothing but live.

use std::fs;
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, bail};

use super::Effort;
use super::peers::{Bench, Peer};
use super::server::Server;
use super::table::Table;
use crate::process::program;

const CONNECTIONS: u32 = 5000;
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Adds the memory of a server before, and what a connection adds to it.
pub(super) fn measure(bench: &Bench<'_>, effort: Effort, table: &mut Table) -> anyhow::Result<()> {
    if !cfg!(target_os = "linux") {
        table.trouble("memory is read from /proc, which is not there".to_owned());
        return Ok(());
    }
    for scheme in ["tcp", "ws"] {
        for peer in bench.peers().filter(|p| matches!(p, Peer::Bare | Peer::Wasm)) {
            println!("memory of {CONNECTIONS} idle connections over {scheme}, {peer}");
            let server = bench.start(peer)?;
            let (before, after) = hold(bench, &server, scheme, effort.idle_seconds)?;
            table.add(&format!("memory, no connection, {scheme}"), "MiB", peer, before / f64::from(1 << 20));
            table.add(&format!("memory, {CONNECTIONS} idle, {scheme}"), "MiB", peer, after / f64::from(1 << 20));
            table.add(&format!("memory of an idle connection, {scheme}"), "KiB", peer, (after - before) / f64::from(CONNECTIONS) / 1024.0);
        }
    }
    Ok(())
}

/// Bytes in memory before the connections are opened and just before they are closed.
fn hold(bench: &Bench<'_>, server: &Server, scheme: &str, seconds: u32) -> anyhow::Result<(f64, f64)> {
    let process = server.process(scheme)?;
    let before = resident_bytes(process)?;
    let mut command = program(&bench.program().to_string_lossy(), &bench.folder(Peer::Wasm));
    command.args(["bench", "--idle", "--route-bytes", "4", "--seq-bytes", "4", "--connections", &CONNECTIONS.to_string()]);
    command.args(["--seconds", &seconds.to_string(), server.url(scheme)?]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().context("starting the idle connections")?;
    let (send, ended) = sync_channel(1);
    std::thread::spawn(move || send.send(child.wait_with_output()));
    let mut after = None;
    let output = loop {
        match ended.recv_timeout(LOOK_INTERVAL) {
            Ok(output) => break output.context("waiting for the idle connections")?,
            Err(RecvTimeoutError::Disconnected) => bail!("nobody waits for the idle connections"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if open_files(process)? >= CONNECTIONS as usize {
            after = Some(resident_bytes(process)?);
        }
    };
    if !output.status.success() {
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        bail!("the idle connections did not hold: {}", said.join(" "));
    }
    Ok((before, after.context("the idle connections were never all open")?))
}

fn resident_bytes(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("reading the memory of the server")?;
    let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("no VmRSS")? * 1024.0)
}

fn open_files(process: u32) -> anyhow::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{process}/fd")).context("counting the connections of the server")?.count())
}
