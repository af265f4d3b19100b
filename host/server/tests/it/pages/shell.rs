//! Runs the blocks of a page as a reader would: one after the other, in one folder, with the servers they start in the background.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::page::Block;
use crate::clients::programs::folder;

/// The server without settings, but on free ports, because others may run one on those of the page; and with time to compile on a busy
/// machine.
const SETTINGS: &str = r#"
[runtime]
start_wait = "5m"
compile_timeout = "5m"

[[listener]]
protocol = "ws"
address = "127.0.0.1:0"

[[listener]]
protocol = "tcp"
address = "127.0.0.1:0"
"#;
/// The ports of the pages, in the order of these listeners.
const PORTS: [&str; 2] = ["3553", "3554"];
/// Commands that go on until they are ended.
const SERVERS: [&str; 2] = ["duet run", "npm start"];
/// One that stays open for what the page says to it.
const CLIENT: &str = "duet client";
/// A debug build compiles a plugin slowly, and a busy machine too.
const START: Duration = Duration::from_secs(300);

pub(super) struct Shell {
    top: TempDir,
    at: PathBuf,
    ports: Vec<String>,
    servers: Vec<Child>,
    client: Option<Talk>,
}

/// What is said to a client, and what it says.
struct Talk {
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    /// In an empty folder, but for the checkout `duet` in it, with the server that these tests have built.
    pub(super) fn beside_a_checkout() -> Self {
        let top = tempfile::tempdir().unwrap();
        let duet = top.path().join("duet");
        fs::create_dir_all(duet.join("target/debug")).unwrap();
        symlink(env!("CARGO_BIN_EXE_duet"), duet.join("target/debug/duet")).unwrap();
        // What cargo needs of the workspace. The drop folder and the SDK for TypeScript are this checkout's own.
        for part in ["Cargo.toml", "Cargo.lock", "host", "plugins/echo", "plugins/greet", "sdk/rust", "wit"] {
            fs::create_dir_all(duet.join(part).parent().unwrap()).unwrap();
            symlink(folder(part).canonicalize().unwrap(), duet.join(part)).unwrap();
        }
        fs::write(top.path().join("ports.toml"), SETTINGS).unwrap();
        Self { at: top.path().to_owned(), top, ports: Vec::new(), servers: Vec::new(), client: None }
    }

    /// Puts a folder into the checkout as it is in git, without what was built or installed in it.
    pub(super) fn copy(&mut self, name: &str) {
        let goal = self.top.path().join("duet").join(name);
        fs::create_dir_all(goal.parent().unwrap()).unwrap();
        copy(&folder(name), &goal);
    }

    /// Goes into a folder.
    pub(super) fn enter(&mut self, name: &str) {
        self.at.push(name);
    }

    /// Puts a plugin into the folder `plugins` here.
    pub(super) fn plugin(&self, name: &str, component: &Path) {
        let folder = self.at.join("plugins");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(component, folder.join(name).with_extension("wasm")).unwrap();
    }

    pub(super) fn run(&mut self, blocks: impl IntoIterator<Item = Block>) {
        for block in blocks {
            match block {
                Block::File { name, text } => self.write(&self.at.join(name), &text),
                Block::Commands(commands) => self.commands(&commands),
                Block::Console(commands) => commands.iter().for_each(|(command, printed)| self.console(command, printed)),
            }
        }
    }

    fn console(&mut self, command: &str, printed: &[String]) {
        if SERVERS.iter().any(|server| command.ends_with(server)) {
            self.serve(command, printed);
        } else if command.ends_with(CLIENT) {
            self.open(command);
            self.talk(printed);
        } else if command.is_empty() {
            self.talk(printed);
        } else {
            self.ask(command, printed);
        }
    }

    /// A crate gets the lock file of the checkout, so that nothing has to be fetched, and a target folder that outlives the test.
    fn write(&self, path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        if path.ends_with("Cargo.toml") {
            fs::copy(folder("Cargo.lock"), path.with_file_name("Cargo.lock")).unwrap();
            let name = path.parent().unwrap().file_name().unwrap();
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages").join(name);
            fs::create_dir_all(&target).unwrap();
            symlink(target, path.with_file_name("target")).unwrap();
        }
    }

    fn commands(&mut self, commands: &str) {
        let place = self.top.path().join("place");
        let output = self.shell(&format!("set -e\n{commands}\npwd > '{}'", place.display())).output().unwrap();
        let (said, warned) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{commands}\nended with {}:\n{said}{warned}", output.status);
        self.at = fs::read_to_string(place).unwrap().trim_end().into();
    }

    /// Runs a command to its end and compares what it prints.
    fn ask(&self, command: &str, printed: &[String]) {
        let output = self.shell(&self.with_ports(command)).output().unwrap();
        let said: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        assert!(matches(&said, printed), "{command}\nprints {said:#?}\nand not {printed:#?}\n{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts a server, waits for the last line that it prints, and leaves it running.
    pub(super) fn serve(&mut self, command: &str, printed: &[String]) {
        let command = command.replace("duet run", &format!("duet run --config '{}'", self.top.path().join("ports.toml").display()));
        let lines = self.start(&command).lines;
        let last = blanked(printed.last().unwrap());
        let mut said: Vec<String> = Vec::new();
        while said.last().map(|line| blanked(line)) != Some(last.clone()) {
            let line = lines.recv_timeout(START).unwrap_or_else(|error| panic!("{command}: no {last:?} ({error}) behind {said:#?}"));
            said.push(self.with_usual_port(&line));
        }
        assert!(matches(&said, printed), "{command}\nprints {said:#?}\nand not {printed:#?}");
    }

    /// Starts something that goes on by itself.
    fn start(&mut self, command: &str) -> Talk {
        let mut command = self.shell(command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let (sender, lines) = mpsc::sync_channel(64);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let input = child.stdin.take().unwrap();
        self.servers.push(child);
        Talk { input, lines }
    }

    fn open(&mut self, command: &str) {
        let command = self.with_ports(command);
        self.client = Some(self.start(&command));
    }

    /// Says lines to the client and compares its answers. What was changed before may take a moment, in which the answers are still the old
    /// ones.
    fn talk(&mut self, printed: &[String]) {
        let deadline = Instant::now() + START;
        let Talk { input, lines } = self.client.as_mut().expect("a client that is open");
        for pair in printed.chunks(2) {
            let [said, answer] = pair else { panic!("{printed:?} is not what is said and answered in turn") };
            loop {
                writeln!(input, "{said}").unwrap();
                let found = lines.recv_timeout(START).unwrap_or_else(|error| panic!("no answer to {said:?} ({error})"));
                if without_seq(&found) == without_seq(answer) {
                    break;
                }
                assert!(Instant::now() < deadline, "{said:?} is answered {found:?} and not {answer:?}");
                thread::park_timeout(Duration::from_millis(50));
            }
        }
    }

    /// A line of a banner as it is on the ports of the page; the real ones are kept.
    fn with_usual_port(&mut self, line: &str) -> String {
        let Some((_, rest)) = line.strip_prefix("listening ").and_then(|line| line.split_once("127.0.0.1:")) else {
            return line.to_owned();
        };
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let usual = PORTS.get(self.ports.len()).copied().unwrap_or_default();
        self.ports.push(port.clone());
        line.replace(&port, usual)
    }

    /// A command of the client for the ports of the server that runs.
    fn with_ports(&self, command: &str) -> String {
        let named =
            if command.contains("://") { command.to_owned() } else { command.replace("duet client", "duet client tcp://127.0.0.1:3554") };
        PORTS.iter().zip(&self.ports).fold(named, |command, (usual, port)| command.replace(&format!(":{usual}"), &format!(":{port}")))
    }

    fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(&self.at).stdin(Stdio::null());
        shell.env_remove("CARGO_TARGET_DIR").env("CARGO_NET_OFFLINE", "true").env_remove("DUET_BIN");
        shell.env("npm_config_prefer_offline", "true").env("npm_config_audit", "false").env("npm_config_fund", "false");
        shell
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        for server in &mut self.servers {
            // The shell, and all that it has started.
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", server.id())]).status();
            let _ = server.wait();
        }
    }
}

/// Whether lines are those of the page; a line `...` there stands for any number of them.
fn matches(said: &[String], printed: &[String]) -> bool {
    match printed.split_first() {
        None => said.is_empty(),
        Some((first, rest)) if first == "..." => (0..=said.len()).any(|from| matches(&said[from..], rest)),
        Some((first, rest)) => said.split_first().is_some_and(|(line, others)| blanked(line) == blanked(first) && matches(others, rest)),
    }
}

/// An answer without the number of the request, which may have been sent again.
fn without_seq(answer: &str) -> String {
    let words: Vec<&str> = answer.split(' ').collect();
    blanked(&words.iter().enumerate().filter(|(at, _)| *at != 3).map(|(_, word)| *word).collect::<Vec<_>>().join(" "))
}

/// A line without the numbers that differ from run to run and machine to machine: times, threads, the port of a page, a die.
fn blanked(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let (number, behind) = number.split_at(end);
        let differs = [" ms", " s)", " s ", " workers", " I/O threads"].iter().any(|unit| behind.starts_with(unit))
            || ["localhost:", "\"value\":", "\"eyes\":"].iter().any(|name| before.ends_with(name));
        out.push_str(before);
        out.push_str(if differs { "N" } else { number });
        rest = behind;
    }
    // A time may come in another unit.
    (out + rest).replace("N s", "N ms")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(name)).unwrap();
        } else if name != "node_modules" && name != "dist" && name != ".duet" {
            copy(&entry.path(), &to.join(name));
        }
    }
}
