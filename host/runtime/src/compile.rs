//! Compiles a component, in a child process with limits: a hostile megabyte can compile for minutes and cannot be cancelled.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use crate::engine;
use crate::options::CompileMode;

/// How much less than the server the compiler gets of the processor.
const COMPILER_NICE: i32 = 10;

/// What one compilation may cost.
#[derive(Clone, Copy, Debug)]
pub struct CompileLimits {
    /// Time on the clock, and CPU time of one core for each core used.
    pub time: Duration,
    /// Address space in bytes.
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { time: Duration::from_secs(60), memory_bytes: 2 << 30 }
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

/// Compiles `input` into `output` in this process, under limits that cannot be taken back: only for a process that does nothing else.
///
/// # Errors
/// The reason as one line of text.
pub fn compile_here(input: &Path, output: &Path, limits: CompileLimits) -> Result<(), String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let cpu = limits.time.as_secs().max(1).saturating_mul(cores);
    for (resource, limit) in [(Resource::Cpu, cpu), (Resource::As, limits.memory_bytes), (Resource::Core, 0)] {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }).map_err(|e| format!("setting limits: {e}"))?;
    }
    // A server that is killed must not leave a compiler behind.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| format!("setting limits: {e}"))?;
    // Players first.
    nice(COMPILER_NICE).map_err(|e| format!("setting priority: {e}"))?;
    compile_file(input, output)
}

fn compile_file(input: &Path, output: &Path) -> Result<(), String> {
    let bytes = std::fs::read(input).map_err(|e| format!("{}: {e}", input.display()))?;
    let engine = engine::engine().map_err(|e| format!("{e:#}"))?;
    let code = engine.precompile_component(&bytes).map_err(|e| format!("{e:#}").replace('\n', " "))?;
    std::fs::write(output, code).map_err(|e| format!("{}: {e}", output.display()))
}

/// Compiles `input` into `output` as the mode says. A child is ended, and waited for, when `stop` becomes true.
pub(crate) async fn compile(
    mode: &CompileMode,
    limits: CompileLimits,
    stop: watch::Receiver<bool>,
    input: &Path,
    output: &Path,
) -> Result<(), CompileError> {
    match mode {
        CompileMode::InProcess => compile_file(input, output).map_err(CompileError::Refused),
        CompileMode::Child { program, arguments } => {
            let mut command = tokio::process::Command::new(program);
            in_child(command.args(arguments).arg(input).arg(output), limits, stop).await
        }
    }
}

async fn in_child(
    command: &mut tokio::process::Command,
    limits: CompileLimits,
    mut stop: watch::Receiver<bool>,
) -> Result<(), CompileError> {
    let mut child = command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // Control-c on a terminal is for the server, which ends its compilers itself.
        .process_group(0)
        .spawn()?;
    let mut said = Vec::new();
    let stderr = child.stderr.take();
    let finished = tokio::time::timeout(limits.time, async {
        if let Some(stderr) = stderr {
            stderr.take(16 << 10).read_to_end(&mut said).await?;
        }
        child.wait().await
    });
    let ended = tokio::select! {
        finished = finished => finished.map_err(|_| CompileError::Time(limits.time)),
        // The sender lives as long as the loader.
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
        return Ok(());
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
