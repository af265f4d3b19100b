//! Server processes: started, read until they listen, killed when dropped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::peers::{Bench, Peer};

/// Compiling a plugin for the first time is the longest wait.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// A server that listens. The bare echo is two processes, one for each protocol.
#[derive(Debug)]
pub(crate) struct Server {
    /// tcp, then ws.
    listeners: Vec<Listener>,
    banner: Vec<String>,
    /// From the start of the process to its last line.
    pub(super) ready: Duration,
    processes: Vec<Process>,
}

#[derive(Debug)]
struct Listener {
    url: String,
    process: u32,
}

impl Server {
    pub(super) fn bare(bench: &Bench<'_>) -> anyhow::Result<Self> {
        let mut server = Self { listeners: Vec::new(), banner: Vec::new(), ready: Duration::ZERO, processes: Vec::new() };
        for (flag, scheme) in [("--bare-echo", "tcp"), ("--bare-ws-echo", "ws")] {
            let (process, lines) = Process::start(&bench.program(), &["bench", flag, "127.0.0.1:0"], None, "bare echo on ")?;
            let address = lines.iter().find_map(|l| l.strip_prefix("bare echo on ")).context("no address")?;
            server.listeners.push(Listener { url: format!("{scheme}://{address}"), process: process.child.id() });
            // The first of the two is the one to compare with.
            if server.processes.is_empty() {
                server.ready = process.ready;
            }
            server.processes.push(process);
        }
        Ok(server)
    }

    pub(super) fn duet(bench: &Bench<'_>, peer: Peer, flags: &[&str]) -> anyhow::Result<Self> {
        let arguments = [&["run", "--config", "duet.toml"], flags].concat();
        let (process, banner) = Process::start(&bench.program(), &arguments, Some(&bench.folder(peer)), "ready in ")?;
        let url = |line: &String| line.strip_prefix("listening ")?.split_whitespace().next().map(str::to_owned);
        let listeners: Vec<Listener> = banner.iter().filter_map(url).map(|url| Listener { url, process: process.child.id() }).collect();
        Ok(Self { listeners, banner, ready: process.ready, processes: vec![process] })
    }

    /// Where to connect, by the scheme of the address.
    pub(super) fn url(&self, scheme: &str) -> anyhow::Result<&str> {
        self.listener(scheme).map(|l| l.url.as_str())
    }

    /// The process that listens there.
    pub(super) fn process(&self, scheme: &str) -> anyhow::Result<u32> {
        self.listener(scheme).map(|l| l.process)
    }

    fn listener(&self, scheme: &str) -> anyhow::Result<&Listener> {
        self.listeners.iter().find(|l| l.url.starts_with(scheme)).with_context(|| format!("the server has no {scheme} address"))
    }

    /// Milliseconds that the server itself says it took to get ready.
    pub(super) fn own_ready_ms(&self) -> Option<f64> {
        let mut words = self.banner.iter().find_map(|l| l.strip_prefix("ready in "))?.split_whitespace();
        let (number, unit) = (words.next()?.parse::<f64>().ok()?, words.next()?);
        Some(if unit == "s" { number * 1e3 } else { number })
    }

    /// A plugin that does not load would make every figure that of an unknown route.
    pub(super) fn need_no_refusal(&self) -> anyhow::Result<()> {
        match self.banner.iter().find(|l| l.starts_with("refused") || l.starts_with("compiling")) {
            Some(line) => bail!("the plugin does not serve: {line}"),
            None => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    ready: Duration,
}

impl Process {
    /// Starts a program with as many open files as the system allows and returns what it printed up to the line that begins with `last`.
    fn start(program: &Path, arguments: &[&str], folder: Option<&Path>, last: &str) -> anyhow::Result<(Self, Vec<String>)> {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec \"$@\"", "sh"]).arg(program).args(arguments);
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        let begun = Instant::now();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| format!("starting {}", program.display()))?;
        let lines = read_lines(child.stdout.take().context("no output")?);
        let mut process = Self { child, ready: Duration::ZERO };
        let mut banner = Vec::new();
        loop {
            match lines.recv_timeout(READY_TIMEOUT.saturating_sub(begun.elapsed())) {
                Ok(line) => banner.push(line),
                Err(RecvTimeoutError::Timeout) => bail!("the server is not ready after {READY_TIMEOUT:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("the server ended before it was ready"),
            }
            if banner.last().is_some_and(|l| l.starts_with(last)) {
                process.ready = begun.elapsed();
                return Ok((process, banner));
            }
        }
    }
}

/// A reader of its own, since a pipe cannot be read with a deadline. It ends with the process.
fn read_lines(output: ChildStdout) -> Receiver<String> {
    let (send, lines) = sync_channel(64);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens any more after the banner; the pipe is emptied all the same.
            drop(send.send(line));
        }
    });
    lines
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
