//! A running server process: where it listens, what it says, how much memory it has, how it ends.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use duet_core::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use crate::lines::Lines;

/// Longer than any drain that a test asks for.
const EXIT: Duration = Duration::from_secs(60);

/// A server process. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Mutex<Child>,
    pid: u32,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
    pub(crate) listening: Vec<Listening>,
    pub(crate) banner: String,
    folder: TempDir,
}

/// One listener, as the banner names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// `tcp://127.0.0.1:PORT`, `ws://127.0.0.1:PORT/PATH`.
    pub url: String,
    /// Its address.
    pub address: SocketAddr,
}

impl Listening {
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let url = line.strip_prefix("listening ")?.split_whitespace().next()?;
        let authority = url.split_once("://")?.1.split('/').next()?;
        Some(Self { url: url.to_owned(), address: authority.parse().ok()? })
    }

    fn speaks(&self, protocol: &str) -> bool {
        self.url.split_once("://").is_some_and(|(scheme, _)| scheme == protocol)
    }
}

impl Server {
    pub(crate) fn new(child: Child, stdout: Lines, stderr: Lines, folder: TempDir) -> Self {
        Self { pid: child.id(), child: Mutex::new(child), stdout, stderr, listening: Vec::new(), banner: String::new(), folder }
    }

    /// Address of the first tcp listener.
    pub fn tcp(&self) -> SocketAddr {
        self.first("tcp").address
    }

    /// Address of the first ws listener.
    pub fn ws(&self) -> SocketAddr {
        self.first("ws").address
    }

    /// Address of the first kcp listener.
    pub fn kcp(&self) -> SocketAddr {
        self.first("kcp").address
    }

    fn first(&self, protocol: &str) -> &Listening {
        self.listening.iter().find(|l| l.speaks(protocol)).unwrap_or_else(|| panic!("no {protocol} listener"))
    }

    /// All listeners, in the order of the settings.
    pub fn listeners(&self) -> &[Listening] {
        &self.listening
    }

    /// The addresses of all listeners, in the order of the settings.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listening.iter().map(|l| l.address).collect()
    }

    /// The URL of a listener, counted from 0 in the order of the settings.
    pub fn url(&self, number: usize) -> &str {
        &self.listening[number].url
    }

    /// What it printed to standard output when it was ready.
    pub fn banner(&self) -> &str {
        &self.banner
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// Waits for a line of the log with this text in it, which may be an old one, and returns the first.
    ///
    /// # Panics
    /// If there is none in time.
    pub fn wait_for_log(&self, text: &str, timeout: Duration) -> String {
        let line = self.stderr.wait(timeout, |log| log.lines().find(|l| l.contains(text)).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no line with {text:?} within {timeout:?} in the log:\n{}", self.log()))
    }

    /// Its working directory; the drop folder is `plugins` in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Memory of the process that is in use now, in bytes.
    pub fn rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).expect("the process lives");
        let line = status.lines().find_map(|l| l.strip_prefix("Rss:")).expect("a line with the memory");
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
        kib * 1024
    }

    /// Open files and sockets of the process.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).expect("the process lives").count()
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        self.child.lock().try_wait().expect("its state").is_none()
    }

    /// Sends SIGTERM, once.
    pub fn send_terminate(&self) {
        self.send(Signal::TERM);
    }

    /// Sends SIGHUP.
    pub fn send_hangup(&self) {
        self.send(Signal::HUP);
    }

    /// Stops the process, as SIGSTOP, a frozen cgroup or a suspended machine does. From then on none of its threads does anything.
    pub fn freeze(&self) {
        self.send(Signal::STOP);
        // On a busy machine its threads go on for a while.
        waitid(WaitId::Pid(self.process()), WaitIdOptions::STOPPED).expect("it stops");
    }

    /// Lets a stopped process go on.
    pub fn thaw(&self) {
        self.send(Signal::CONT);
    }

    fn send(&self, signal: Signal) {
        // It is our child and has not been waited for, so the number cannot be another process's.
        let mut child = self.child.lock();
        assert!(child.try_wait().expect("its state").is_none(), "the server has ended already:\n{}", self.log());
        kill_process(self.process(), signal).expect("a signal can be sent");
    }

    fn process(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.pid).expect("a process id")).expect("a process id")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn wait_for_exit(&self, timeout: Duration) -> ExitStatus {
        // Its standard output closes when it ends.
        assert!(self.stdout.wait_for_end(timeout), "the server has not ended within {timeout:?}:\n{}", self.log());
        self.child.lock().wait().expect("its exit status")
    }

    /// Sends SIGTERM, waits for a good end, and returns the last line of the log, which has all counters.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn stop(&self) -> String {
        let (status, _) = self.terminate();
        assert!(status.success(), "{status}");
        self.wait_for_log("stopped accepted=", Duration::ZERO)
    }

    /// Sends SIGTERM, waits for the end and the whole log, and says how it ended and how long that took.
    pub fn terminate(&self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.send_terminate();
        let status = self.wait_for_exit(EXIT);
        let took = begun.elapsed();
        self.stderr.wait_for_end(EXIT);
        (status, took)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        let killed = child.kill().and_then(|()| child.wait());
        if std::thread::panicking() {
            eprintln!("the server's log, at the end ({killed:?}):\n{}", tail(&self.stderr.text()));
        }
    }
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
