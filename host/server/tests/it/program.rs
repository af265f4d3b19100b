//! The program in a folder of its own, with any standard output and standard error.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything here takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A folder with a settings file and plugins.
pub(crate) struct Place {
    folder: TempDir,
    address: SocketAddr,
}

impl Place {
    /// Its cache is empty. The settings come after the top-level keys.
    pub(crate) fn cold(settings: &str) -> Self {
        Self::new("cache", settings)
    }

    /// It shares the cache of all tests.
    pub(crate) fn warm(settings: &str) -> Self {
        let target = Path::new(env!("CARGO_BIN_EXE_duet")).ancestors().nth(2).unwrap();
        Self::new(target.join("tmp/duet-cache").to_str().unwrap(), settings)
    }

    fn new(cache: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        // Chosen here, because standard output may not say it.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let file = format!("cache = \"{cache}\"\n{settings}\n[[listener]]\nprotocol = \"tcp\"\naddress = \"{address}\"\n");
        fs::write(folder.path().join("duet.toml"), file).unwrap();
        Self { folder, address }
    }

    pub(crate) fn plugin(self, name: &str, component: impl AsRef<Path>) -> Self {
        fs::copy(component, self.path("plugins").join(format!("{name}.wasm"))).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `duet` with these arguments, silent unless told otherwise.
    pub(crate) fn duet<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duet"));
        command.args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn serve(&self) -> Command {
        self.duet(["run", "--config", "duet.toml"])
    }

    /// Waits until the port is open.
    pub(crate) fn wait_until_open(&self, running: &mut Running) {
        running.wait_until("it does not open its port", || TcpStream::connect(self.address).is_ok());
    }

    /// What is in its own cache.
    pub(crate) fn cached(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path("cache")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// A process; killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.0.stderr.take().unwrap()
    }

    pub(crate) fn wait_until(&mut self, otherwise: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(self.0.try_wait().unwrap().is_none(), "it has ended: {otherwise}");
            assert!(Instant::now() < deadline, "{otherwise}");
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    pub(crate) fn send(&self, signal: &str) {
        signal_to(self.id(), signal);
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// SIGTERM has to end it with 0.
    pub(crate) fn terminate(&mut self) {
        self.send("TERM");
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

pub(crate) fn signal_to(process: u32, signal: &str) {
    assert!(Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap().success(), "{signal}");
}

/// A pipe whose reader is gone.
pub(crate) fn closed() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A pipe that takes nothing more, as long as its reader lives.
pub(crate) fn stuck() -> (impl Read, Stdio) {
    const CAPACITY: usize = 64 << 10;
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&[b'x'; CAPACITY]).unwrap();
    (reader, writer.into())
}

/// A device that is always full.
pub(crate) fn full() -> Stdio {
    fs::File::options().write(true).open("/dev/full").unwrap().into()
}
