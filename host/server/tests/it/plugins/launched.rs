//! A server whose start is watched: it serves while files are still being compiled.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A server process; killed when dropped.
pub(super) struct Launched {
    child: Child,
    pub(super) out: Arc<Text>,
    pub(super) log: Arc<Text>,
    pub(super) begun: Instant,
}

/// What a process wrote so far.
#[derive(Default)]
pub(super) struct Text {
    lines: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Text {
    fn collect(pipe: impl Read + Send + 'static) -> Arc<Self> {
        let text = Arc::<Self>::default();
        let collected = Arc::clone(&text);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                collected.lines.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
                collected.changed.notify_all();
            }
        });
        text
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until `find` finds something in the lines so far.
    pub(super) fn wait<T>(&self, timeout: Duration, find: impl Fn(&[String]) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(found) = find(&lines) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            lines = self.changed.wait_timeout(lines, left).unwrap().0;
        }
    }
}

impl Launched {
    /// Runs `duet run` in a folder with a `duet.toml`.
    pub(super) fn start(folder: &Path) -> Self {
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_duet"))
            .args(["run", "--config", "duet.toml"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, log) = (Text::collect(child.stdout.take().unwrap()), Text::collect(child.stderr.take().unwrap()));
        Self { child, out, log, begun }
    }

    /// Waits for the banner and returns the address of the tcp listener and the time until then.
    pub(super) fn ready(&self, timeout: Duration) -> (SocketAddr, Duration) {
        let ready = self.out.wait(timeout, |lines| lines.iter().any(|l| l.starts_with("ready in ")).then_some(()));
        assert!(ready.is_some(), "not ready within {timeout:?}:\n{}", self.log.lines().join("\n"));
        let address = self.out.lines().iter().find_map(|l| l.split_once("tcp://")?.1.split_whitespace().next()?.parse().ok());
        (address.expect("a tcp listener"), self.begun.elapsed())
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it with SIGTERM.
    pub(super) fn terminate(&mut self) -> ExitStatus {
        let ended = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(ended.success(), "it had ended before");
        self.child.wait().unwrap()
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
