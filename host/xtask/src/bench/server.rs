//! Server processes: started, read until they listen, killed when dropped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::due::Due;
use crate::process::read;

/// Compiling a plugin for the first time is the longest wait.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// As many open files as the system allows. With the right to raise that limit, there is enough for every load.
const OPEN_FILES: &str =
    "h=$(ulimit -Hn); [ \"$h\" = unlimited ] || [ \"$h\" -ge 65536 ] || ulimit -Hn 65536 2>/dev/null; ulimit -n \"$(ulimit -Hn)\"";

/// How many files a server may have open.
pub(super) fn open_files_max() -> anyhow::Result<u32> {
    let said = read(Command::new("sh").args(["-c", &format!("{OPEN_FILES}; ulimit -n")]))?;
    Ok(said.trim().parse().unwrap_or(u32::MAX))
}

/// A server that listens.
#[derive(Debug)]
pub(crate) struct Server {
    urls: Vec<String>,
    banner: Vec<String>,
    process: Process,
}

impl Server {
    /// A bare echo of one protocol.
    pub(super) fn bare(program: &Path, scheme: &str) -> anyhow::Result<Self> {
        let (process, banner) = Process::start(program, &[scheme, "127.0.0.1:0"], None, "bare echo on ")?;
        let address = banner.iter().find_map(|l| l.strip_prefix("bare echo on ")).context("no address")?;
        Ok(Self { urls: vec![format!("{scheme}://{address}")], banner, process })
    }

    /// due, which has one protocol for each gate.
    pub(super) fn due(due: &Due, scheme: &str) -> anyhow::Result<Self> {
        let Due { program, settings } = due;
        let (settings, program) = (format!("DUE_ETC={}", settings.display()), program.to_string_lossy());
        Self::listening(Process::start(Path::new("env"), &[&settings, &program, "-proto", scheme], None, "ready in ")?)
    }

    /// Our own, with the settings and plugins in a folder.
    pub(super) fn duet(program: &Path, folder: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let arguments = [&["run", "--config", "duet.toml"], flags].concat();
        Self::listening(Process::start(program, &arguments, Some(folder), "ready in ")?)
    }

    fn listening((process, banner): (Process, Vec<String>)) -> anyhow::Result<Self> {
        let url = |line: &String| line.strip_prefix("listening ")?.split_whitespace().next().map(str::to_owned);
        let urls = banner.iter().filter_map(url).collect();
        Ok(Self { urls, banner, process })
    }

    /// From the start of the process to its last line.
    pub(super) fn ready(&self) -> Duration {
        self.process.ready
    }

    /// Where to connect, by the scheme of the address.
    pub(super) fn url(&self, scheme: &str) -> anyhow::Result<&str> {
        let is_wanted = |url: &&String| url.split_once("://").is_some_and(|(found, _)| found == scheme);
        self.urls.iter().find(is_wanted).map(String::as_str).with_context(|| format!("the server has no {scheme} address"))
    }

    /// The process.
    pub(super) fn process(&self) -> u32 {
        self.process.child.id()
    }

    /// Milliseconds that the server itself says it took to get ready.
    pub(super) fn own_ready_ms(&self) -> Option<f64> {
        let mut words = self.banner.iter().find_map(|l| l.strip_prefix("ready in "))?.split_whitespace();
        let (number, unit) = (words.next()?.parse::<f64>().ok()?, words.next()?);
        Some(if unit == "s" { number * 1e3 } else { number })
    }

    /// If the plugin did not load, every figure would be that of an unknown route.
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
        command.args(["-c", &format!("{OPEN_FILES}; exec \"$@\""), "sh"]).arg(program).args(arguments);
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

/// A thread of its own, since a pipe cannot be read with a deadline. It ends with the process.
fn read_lines(output: ChildStdout) -> Receiver<String> {
    let (send, lines) = sync_channel(64);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens after the banner, but the pipe has to be emptied all the same.
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
