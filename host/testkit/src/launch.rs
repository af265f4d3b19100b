//! Starts a server process with plugins and settings of its own.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::lines::Lines;
use crate::server::{Listening, Server};

/// A plugin that is not in the cache yet is compiled before the server is ready.
const START: Duration = Duration::from_secs(90);

/// A server to be started.
#[derive(Debug)]
pub struct ServerBuilder {
    program: PathBuf,
    folder: TempDir,
    settings: String,
    listeners: Vec<String>,
    whole: Option<String>,
}

/// The end of a server that did not start.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit status.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl ServerBuilder {
    pub(crate) fn new(program: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("plugins")).expect("a folder for plugins");
        Self { program: program.into(), folder, settings: String::new(), listeners: Vec::new(), whole: None }
    }

    /// Puts a component into the drop folder as `NAME.wasm`.
    #[must_use]
    pub fn plugin(self, name: &str, component: impl AsRef<Path>) -> Self {
        let place = self.plugins().join(name).with_extension("wasm");
        fs::copy(&component, place).unwrap_or_else(|e| panic!("{}: {e}", component.as_ref().display()));
        self
    }

    /// Puts any file into the drop folder.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.plugins().join(name), content).expect("a file in the drop folder");
        self
    }

    /// Adds settings as TOML, without `plugins`, `cache` and `[[listener]]`. Top-level keys first.
    #[must_use]
    pub fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self.settings.push('\n');
        self
    }

    /// Adds a listener; its address is a free port of loopback unless the TOML has one. Without any: one for tcp, one for ws.
    #[must_use]
    pub fn listener(mut self, toml: &str) -> Self {
        self.listeners.push(toml.to_owned());
        self
    }

    /// The whole settings file; all other settings and listeners given here are ignored.
    #[must_use]
    pub fn whole_config(mut self, toml: &str) -> Self {
        self.whole = Some(toml.to_owned());
        self
    }

    /// Starts it and waits until it is ready and no plugin is being compiled any more.
    ///
    /// # Panics
    /// If it does not come to that.
    pub fn start(self) -> Server {
        let mut server = self.spawn();
        let Some(listening) = server.stdout.wait(START, ready) else {
            panic!("the server did not become ready\nstdout:\n{}\nstderr:\n{}", server.stdout.text(), server.log());
        };
        server.banner = server.stdout.text();
        server.listening = listening;
        for line in server.banner().lines().filter(|l| l.starts_with("compiling ")) {
            let name = Path::new(line).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let settled = |log: &str| log.lines().any(|l| l.contains("plugin ") && l.contains(&name)).then_some(());
            assert!(server.stderr.wait(START, settled).is_some(), "{name} is neither served nor refused:\n{}", server.log());
        }
        server
    }

    /// Starts it although it will not become ready, and waits for its end.
    ///
    /// # Panics
    /// If it becomes ready.
    pub fn refused(self) -> Refusal {
        let server = self.spawn();
        let became_ready = server.stdout.wait(START, ready).is_some();
        assert!(!became_ready, "the server is ready, but should not be:\n{}", server.stdout.text());
        let status = server.wait_for_exit(START);
        assert!(server.stderr.wait_for_end(START), "standard error stays open");
        Refusal { status, stdout: server.stdout.text(), stderr: server.stderr.text() }
    }

    fn spawn(self) -> Server {
        let config = self.folder.path().join("duet.toml");
        fs::write(&config, self.config()).expect("a settings file");
        let mut child = Command::new(&self.program)
            .args(["run", "--config", "duet.toml"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", self.program.display()));
        let stdout = Lines::collect(child.stdout.take().expect("its output"));
        let stderr = Lines::collect(child.stderr.take().expect("its log"));
        Server::new(child, stdout, stderr, self.folder)
    }

    fn config(&self) -> String {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let mut toml = format!("plugins = \"plugins\"\ncache = \"{}\"\n{}", self.cache().display(), self.settings);
        let defaults = ["protocol = \"tcp\"".to_owned(), "protocol = \"ws\"".to_owned()];
        let listeners = if self.listeners.is_empty() { defaults.as_slice() } else { self.listeners.as_slice() };
        for listener in listeners {
            let address = if listener.contains("address") { "" } else { "address = \"127.0.0.1:0\"\n" };
            writeln!(toml, "\n[[listener]]\n{address}{listener}").expect("a text can be written to");
        }
        toml
    }

    fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// The folder for compiled plugins that all tests share, next to the program.
    fn cache(&self) -> PathBuf {
        let target = self.program.ancestors().nth(2).expect("a target folder above the program");
        let cache = target.join("tmp").join("duet-cache");
        fs::create_dir_all(target.join("tmp")).expect("a folder for the cache");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&cache).expect("a folder for the cache");
        cache
    }
}

impl Server {
    /// A server of this program: `env!("CARGO_BIN_EXE_duet")`.
    pub fn builder(program: &str) -> ServerBuilder {
        ServerBuilder::new(program)
    }
}

/// The listeners, once the last line of the banner is there.
fn ready(banner: &str) -> Option<Vec<Listening>> {
    let is_ready = banner.ends_with('\n') && banner.lines().any(|l| l.starts_with("ready in "));
    is_ready.then(|| banner.lines().filter_map(Listening::parse).collect())
}
