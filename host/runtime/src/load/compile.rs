//! Compiles a component, in a child process with limits: a hostile megabyte can compile for minutes and cannot be cancelled.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use duet_config::{duration, size};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, nice, set_parent_process_death_signal, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::call::engine;

/// By how much the compiler is nicer than the server, which gets the processor first.
const COMPILER_NICE: i32 = 10;

/// Where untrusted files are compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileMode {
    /// In a child process with limits: `program` with `arguments`. The child calls
    /// [`compile_here`].
    Child {
        /// The program.
        program: PathBuf,
        /// Its first arguments.
        arguments: Vec<String>,
    },
    /// In this process, without limits: for files that are trusted, such as those of a test.
    InProcess,
}

duet_config::settings! {
    /// What one compilation may cost.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CompileLimits {
        /// Time to compile one plugin: by the clock, and as CPU time for each core. After it, compiling is ended and the plugin refused.
        pub time["compile_timeout"]: Duration = Duration::from_secs(60), duration().range(Duration::from_secs(1)..=Duration::from_secs(3600));
        /// Memory to compile one plugin in bytes. One that needs more is refused.
        pub memory_bytes["compile_memory"]: u64 = 2 << 30, size().range(128 << 20..=64 << 30);
    }
}

/// Why a file was not compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    #[error("it took longer than {0:?} to compile; make its functions smaller, or raise `runtime.compile_timeout`")]
    Time(Duration),
    #[error("compiling it needed more than {0} bytes of memory; make its functions smaller, or raise `runtime.compile_memory`")]
    Memory(u64),
    #[error("it cannot be compiled: {0}")]
    Refused(String),
    #[error("the compiler could not be run: {0}")]
    Run(#[from] std::io::Error),
    #[error("compiling it was given up, because the process is stopping")]
    Stopped,
    #[error("its compiler was ended by signal {0}; load it again")]
    Signal(i32),
}

/// Machine code that the compiler of this host made.
#[derive(Debug)]
pub(crate) struct Compiled(Vec<u8>);

impl Compiled {
    /// Code whose digest was just compared with the one noted when it was compiled.
    pub(crate) const fn verified(code: Vec<u8>) -> Self {
        Self(code)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Makes it ready to run. Fails if it was built for another engine.
    pub(crate) fn component(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` runs what it gets. It gets what `compile` below returned in this process, or what `cache::read` found, byte
        // for byte, as it was stored by a process of this user in a folder that only this user can write. No file from a plugin folder ever
        // gets here.
        #[allow(unsafe_code, reason = "the one place that loads machine code; the argument is above")]
        unsafe {
            Component::deserialize(engine, &self.0)
        }
    }
}

/// Compiles standard input to standard output in this process, under limits that cannot be taken back: only for a process that does
/// nothing else. No file is involved, so that what is compiled is what the parent checked.
///
/// # Errors
/// The reason as one line of text.
pub fn compile_here(limits: CompileLimits) -> Result<(), String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let cpu = limits.time.as_secs().max(1).saturating_mul(cores);
    for (resource, limit) in [(Resource::Cpu, cpu), (Resource::As, limits.memory_bytes), (Resource::Core, 0)] {
        // Whoever started the server may have set a lower limit, which cannot be raised again.
        let limit = getrlimit(resource).maximum.map_or(limit, |hard| hard.min(limit));
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }).map_err(|e| format!("setting limits: {e}"))?;
    }
    // A server that is killed must not leave a compiler behind.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| format!("setting limits: {e}"))?;
    // Players come first.
    nice(COMPILER_NICE).map_err(|e| format!("setting priority: {e}"))?;
    let mut wasm = Vec::new();
    std::io::stdin().lock().read_to_end(&mut wasm).map_err(|e| format!("reading the plugin: {e}"))?;
    let code = precompile(&wasm)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&code).and_then(|()| out.flush()).map_err(|e| format!("handing over the code: {e}"))
}

fn precompile(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let engine = engine::engine().map_err(|e| format!("{e:#}"))?;
    engine.precompile_component(wasm).map_err(|e| format!("{e:#}").replace('\n', " "))
}

/// Compiles as the mode says. A child is ended, and waited for, when `stop` becomes true.
pub(crate) async fn compile(
    mode: &CompileMode,
    limits: CompileLimits,
    stop: watch::Receiver<bool>,
    wasm: &[u8],
) -> Result<Compiled, CompileError> {
    match mode {
        CompileMode::InProcess => precompile(wasm).map_err(CompileError::Refused),
        CompileMode::Child { program, arguments } => {
            let mut command = tokio::process::Command::new(program);
            in_child(command.args(arguments), limits, stop, wasm).await
        }
    }
    .map(Compiled)
}

async fn in_child(
    command: &mut tokio::process::Command,
    limits: CompileLimits,
    mut stop: watch::Receiver<bool>,
    wasm: &[u8],
) -> Result<Vec<u8>, CompileError> {
    let mut child = command
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // Control-c on a terminal is for the server, which ends its compilers itself.
        .process_group(0)
        .spawn()?;
    let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut code, mut said) = (Vec::new(), Vec::new());
    let finished = tokio::time::timeout(limits.time, async {
        let told = async {
            if let Some(mut stdin) = stdin.take() {
                // If it fails, the child ended without reading everything, and has said why.
                drop(stdin.write_all(wasm).await);
            }
            Ok(0)
        };
        // The code cannot be larger than the memory that the child may have.
        tokio::try_join!(told, take(stdout, limits.memory_bytes, &mut code), take(stderr, 16 << 10, &mut said))?;
        child.wait().await
    });
    let ended = tokio::select! {
        finished = finished => finished.map_err(|_| CompileError::Time(limits.time)),
        // An error is impossible: the sender lives as long as the loader.
        _ = stop.wait_for(|stop| *stop) => Err(CompileError::Stopped),
    };
    let status = match ended {
        Ok(status) => status?,
        Err(error) => {
            child.kill().await?;
            return Err(error);
        }
    };
    if status.success() {
        return Ok(code);
    }
    let said = String::from_utf8_lossy(&said);
    let reason = said.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default().trim();
    Err(match std::os::unix::process::ExitStatusExt::signal(&status) {
        Some(signal) if signal == Signal::XCPU.as_raw() || signal == Signal::KILL.as_raw() => CompileError::Time(limits.time),
        Some(signal) if [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].iter().any(|s| s.as_raw() == signal) => {
            CompileError::Signal(signal)
        }
        Some(_) if said.contains("memory allocation") || reason.is_empty() => CompileError::Memory(limits.memory_bytes),
        _ => CompileError::Refused(if reason.is_empty() { status.to_string() } else { reason.to_owned() }),
    })
}

/// Reads at most this many bytes of what a child writes.
async fn take(from: Option<impl AsyncReadExt + Unpin>, bytes_max: u64, into: &mut Vec<u8>) -> std::io::Result<usize> {
    match from {
        Some(from) => from.take(bytes_max).read_to_end(into).await,
        None => Ok(0),
    }
}
