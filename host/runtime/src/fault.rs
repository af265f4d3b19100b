//! What went wrong in a call, and which code the client gets.

use std::time::Duration;

use duet_core::ErrorCode;
use duet_core::packed::EffectError;
use wasmtime::Trap;

use crate::engine::STACK_BYTES;
use crate::host::{HostState, Refused};
use crate::meter::WALL_FACTOR;

/// The end of an instance: its memory is gone, its effects are discarded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The call used up its CPU budget.
    #[error("call ran longer than its budget of {0:?}; raise `call_budget` of the plugin or do less in one call")]
    Budget(Duration),
    /// The machine gave it too little of the processor to use up its budget.
    #[error("call did not end within {wall:?}, in which it got less than its budget of {budget:?}; the machine is too busy", wall = *budget * WALL_FACTOR)]
    Starved { budget: Duration },
    /// A call of the asynchronous lane waited too long.
    #[error("call did not return within {0:?}; raise `wait_timeout` of the plugin")]
    Wait(Duration),
    /// The guest trapped: a panic, most of the time.
    #[error("{0}")]
    Trap(String),
    /// It called itself too deeply.
    #[error("stack of {stack} exhausted: the handler calls itself too deeply; {trap}", stack = size(STACK_BYTES))]
    Stack { trap: String },
    /// It trapped in a call in which it was refused memory.
    #[error("{grown}; {trap}", grown = grown(refused))]
    Memory { refused: Refused, trap: String },
    /// The host panicked while the guest ran, in one of its imports.
    #[error("a function of the host panicked: {0}")]
    Panic(String),
    /// The gate panicked while it applied the effects. Some of them may have been applied, so the call is not made again.
    #[error("applying the effects panicked: {0}")]
    Gate(String),
    /// The list of effects was not one.
    #[error("returned a list of effects that is not valid: {0}")]
    Effects(#[from] EffectError),
    /// The list of effects contradicts the requests.
    #[error("returned an effect for request {request} of a call with {requests}, a second answer to it, or an answer to an event")]
    Answer { request: usize, requests: usize },
    /// The list is too long.
    #[error("returned more than {0} effects for one request")]
    TooManyEffects(usize),
    /// Its effects reach too many.
    #[error("returned messages for one request that go to more than {0} receivers in all")]
    TooManyReceivers(usize),
    /// A new instance could not be made.
    #[error("no new instance: {0}")]
    Start(String),
}

impl Fault {
    /// Classifies an error that wasmtime returned from a call with this budget.
    pub(crate) fn from_call(error: &wasmtime::Error, budget: Duration, state: &HostState) -> Self {
        match (error.downcast_ref::<Trap>(), state.limits.refused) {
            (Some(Trap::Interrupt), _) if state.meter.starved() => Self::Starved { budget },
            (Some(Trap::Interrupt), _) => Self::Budget(budget),
            (Some(Trap::StackOverflow), _) => Self::Stack { trap: told(error) },
            (_, Some(refused)) => Self::Memory { refused, trap: told(error) },
            _ => Self::Trap(told(error)),
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
            | Self::Gate(_)
            | Self::Effects(_)
            | Self::Answer { .. }
            | Self::TooManyEffects(_)
            | Self::TooManyReceivers(_) => ErrorCode::PLUGIN_FAULT,
        }
    }
}

/// The cause, then the backtrace, which wasmtime gives the other way round. Names in it are the guest's.
fn told(error: &wasmtime::Error) -> String {
    let (trace, causes): (Vec<String>, Vec<String>) =
        error.chain().map(ToString::to_string).partition(|text| text.starts_with("error while executing at wasm backtrace"));
    format!("{}\n{}", causes.join(": "), trace.concat())
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
