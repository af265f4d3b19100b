//! What went wrong in a call, and which code the client gets.

use std::time::Duration;

use duet_core::{ErrorCode, LIST_BYTES_MAX, OutcomeError};
use wasmtime::{Trap, WasmBacktrace};

use crate::call::engine::STACK_BYTES;
use crate::call::meter::WALL_FACTOR;
use crate::host::last_words::LastWords;
use crate::host::memory::{INSTANCES_MAX, MEMORIES_MAX, Refused, TABLES_MAX};
use crate::host::state::HostState;

/// Frames of a backtrace that are shown: what trapped, and what called it.
const FRAMES_MAX: usize = 3;
/// Prefixes of frames that say how a program dies, not where it went wrong.
const MACHINERY: [&str; 9] = ["std::", "core::", "alloc::", "<std::", "<core::", "<alloc::", "__rust", "rust_", "abort"];

/// The end of an instance: its memory is gone, its effects are discarded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The call used up its CPU budget.
    #[error("call ran longer than its budget of {0:?}; raise `call_budget` of the plugin or do less in one call")]
    Budget(Duration),
    /// The machine gave the call too little CPU time to use up its budget.
    #[error("call did not end within {wall:?}, in which it got less than its budget of {budget:?}; the machine is too busy", wall = *budget * WALL_FACTOR)]
    Starved { budget: Duration },
    /// A call of the asynchronous lane waited too long.
    #[error("call did not return within {0:?}; raise `wait_timeout` of the plugin")]
    Wait(Duration),
    /// The guest trapped: a panic, most of the time.
    #[error("{0}")]
    Trap(String),
    /// It called itself too deeply.
    #[error("stack of {stack} exhausted: it calls itself too deeply; {trap}", stack = size(STACK_BYTES))]
    Stack { trap: String },
    /// It trapped in a call in which it had been refused memory.
    #[error("{grown}; {trap}", grown = grown(refused))]
    Memory { refused: Refused, trap: String },
    /// The host panicked while the guest ran, in one of its imports.
    #[error("a function of the host panicked: {0}")]
    Panic(String),
    /// The gate panicked while it applied the effects. Some of them may have been applied, so the call is not repeated, and those who were
    /// answered get no further answer: these requests of the call.
    #[error("applying the effects panicked: {panic}")]
    Gate { panic: String, answered: Vec<u32> },
    /// The list of effects, or what an import was given, has too many bytes.
    #[error("handed more than {max} to the host at once, as the effects of a call or to an import", max = size(LIST_BYTES_MAX))]
    TooManyBytes,
    /// The list of effects cannot be applied.
    #[error(transparent)]
    Outcome(#[from] OutcomeError),
    /// A new instance could not be made.
    #[error("a new instance does not start: {0}")]
    Start(String),
}

impl Fault {
    /// Classifies an error that wasmtime returned from a call with this budget.
    pub(crate) fn from_call(error: &wasmtime::Error, budget: Duration, state: &HostState) -> Self {
        match (error.downcast_ref::<Trap>(), state.limits.refused) {
            (Some(Trap::Interrupt), _) if state.meter.starved() => Self::Starved { budget },
            (Some(Trap::Interrupt), _) => Self::Budget(budget),
            (Some(Trap::StackOverflow), _) => Self::Stack { trap: told(error, &state.last_words) },
            _ if is_too_much(error) => Self::TooManyBytes,
            (_, Some(refused)) => Self::Memory { refused, trap: told(error, &state.last_words) },
            _ => Self::Trap(told(error, &state.last_words)),
        }
    }

    /// What the client is told.
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::Budget(_) | Self::Starved { .. } | Self::Wait(_) => ErrorCode::TIMEOUT,
            Self::Start(_) => ErrorCode::UNAVAILABLE,
            Self::Trap(_)
            | Self::Stack { .. }
            | Self::Memory { .. }
            | Self::Panic(_)
            | Self::Gate { .. }
            | Self::TooManyBytes
            | Self::Outcome(_) => ErrorCode::PLUGIN_FAULT,
        }
    }
}

/// Why a function of `lifecycle`, or making the instance, did not return.
pub(crate) fn lifecycle_failure(function: &str, error: &wasmtime::Error, budget: Duration, state: &HostState) -> String {
    match Fault::from_call(error, budget, state) {
        Fault::Budget(_) => too_long(function, budget),
        fault => format!("`{function}` failed: {fault}"),
    }
}

/// The text for a function of `lifecycle` that does not return in time.
pub(crate) fn too_long(function: &str, budget: Duration) -> String {
    format!("`{function}` ran longer than {} s", budget.as_secs_f64())
}

/// The cause, then the innermost frames of the plugin. Names in it come from the guest.
///
/// A program that gives up says why on stderr and then executes `unreachable`, so what it said last is the cause.
fn told(error: &wasmtime::Error, last_words: &LastWords) -> String {
    let is_backtrace = |text: &String| text.starts_with("error while executing at wasm backtrace");
    let causes: Vec<String> = error.chain().map(ToString::to_string).filter(|text| !is_backtrace(text)).collect();
    let mut text = causes.join(": ");
    if let Some(advice) = advice(&text) {
        text += &format!("; {advice}");
    }
    let gave_up = error.downcast_ref::<Trap>().is_none_or(|trap| *trap == Trap::UnreachableCodeReached);
    if gave_up && let Some(said) = last_words.take() {
        text = format!("{said} ({text})");
    }
    let trace = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string).unwrap_or_default();
    let frames = frames(&trace);
    if !frames.is_empty() {
        text += &format!("; at {}", frames.join(", called by "));
    }
    text
}

/// Whether a guest was about to give the host more bytes than one call may. wasmtime keeps the type of that error to itself.
fn is_too_much(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls has been exhausted")
}

/// What to do about a limit that the engine names without saying whose it is.
fn advice(cause: &str) -> Option<String> {
    if cause.contains("count too high") {
        return Some(format!(
            "a plugin has at most {INSTANCES_MAX} core instances, {MEMORIES_MAX} memories and {TABLES_MAX} tables: link its modules into fewer"
        ));
    }
    cause.contains("mmap failed").then(|| {
        "the system gives this process no more address space, of which each memory of an instance reserves over 4 GiB: lift `ulimit -v`, \
         or lower `instances` of the plugin"
            .to_owned()
    })
}

/// Names of functions out of a backtrace: the innermost that are not machinery, or the innermost if all are.
fn frames(trace: &str) -> Vec<String> {
    let names = || trace.lines().filter_map(|line| line.split_once(" - ")).map(|(_, frame)| name(frame));
    let own: Vec<String> = names().filter(|name| !MACHINERY.iter().any(|m| name.starts_with(m))).take(FRAMES_MAX).collect();
    if own.is_empty() { names().take(FRAMES_MAX).collect() } else { own }
}

/// `module.wasm!crate[0123456789abcdef]::function::h0123456789abcdef` without its module and hashes.
fn name(frame: &str) -> String {
    let name = frame.split_once('!').map_or(frame, |(_, name)| name).trim();
    let is_hash = |text: &str| text.len() > 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let name = name.rsplit_once("::h").filter(|(_, hash)| is_hash(hash)).map_or(name, |(name, _)| name);
    let mut parts = name.split('[');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((hash, rest)) if is_hash(hash) => plain += rest,
            _ => plain.extend(["[", part]),
        }
    }
    plain
}

/// What to do about growth that was refused.
fn grown(refused: &Refused) -> String {
    match refused {
        Refused::Memory(bytes) => format!("memory limit of {} reached: raise `memory` of the plugin or keep less", size(*bytes)),
        Refused::Table(elements) => format!("limit of {elements} table elements reached: raise `table_elements` of the plugin"),
    }
}

/// Bytes as they are written in settings.
fn size(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_frames_of_the_plugin_are_told() {
        let trace = "error while executing at wasm backtrace:\n    0:   0x1f2 - duet_dice.wasm!abort\n    \
                     1:   0x1f2 - duet_dice.wasm!std[0123456789abcde]::process::abort\n    \
                     2:   0x1f2 - duet_dice.wasm!__rustc[7ed0]::rust_panic\n    \
                     3:   0x1f2 - duet_dice.wasm!dice[fedcba9876543210]::roll\n                    at src/lib.rs:7:9\n    \
                     4:   0x1f2 - duet_dice.wasm!dice::handle::h0123456789abcdef\n    5:   0x1f2 - duet_dice.wasm!<wasm function 12>\n    \
                     6:   0x1f2 - duet_dice.wasm!dice::last";
        assert_eq!(frames(trace), ["dice::roll", "dice::handle", "<wasm function 12>"]);
        assert_eq!(frames("error while executing at wasm backtrace:\n    0: 0x1 - a!abort"), ["abort"]);
        assert_eq!(frames(""), [""; 0]);
    }

    #[test]
    fn what_a_guest_said_before_it_gave_up_is_the_cause_and_comes_first() {
        let words = LastWords::default();
        words.note("panicked at src/lib.rs:7:9: no dice");
        let text = told(&wasmtime::Error::from(Trap::UnreachableCodeReached), &words);
        assert!(text.starts_with("panicked at src/lib.rs:7:9: no dice (") && text.contains("`unreachable`"), "{text}");
        words.note("an old line");
        let other = told(&wasmtime::Error::from(Trap::MemoryOutOfBounds), &words);
        assert!(!other.contains("an old line"), "the trap says it better: {other}");
    }
}
