//! What went wrong in a call, and which code the client gets.

use duet_core::ErrorCode;
use duet_core::packed::EffectError;
use wasmtime::Trap;

/// The end of an instance: its memory is gone, its effects are discarded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The call used up its CPU budget.
    #[error("call ran longer than its budget of {0:?}; raise `call_budget` of the plugin or do less in one call")]
    Budget(std::time::Duration),
    /// A call of the asynchronous lane waited too long.
    #[error("call did not return within {0:?}; raise `wait_timeout` of the plugin")]
    Wait(std::time::Duration),
    /// The guest trapped: a panic, an exhausted stack, memory above the limit.
    #[error("{0}")]
    Trap(String),
    /// The list of effects was not one.
    #[error("returned a list of effects that is not valid: {0}")]
    Effects(#[from] EffectError),
    /// The list of effects contradicts the requests.
    #[error("returned an effect for request {request} of a call with {requests}, a second answer to it, or an answer to an event")]
    Answer { request: usize, requests: usize },
    /// The list is too long.
    #[error("returned more than {0} effects for one request")]
    TooManyEffects(usize),
    /// A new instance could not be made.
    #[error("no new instance: {0}")]
    Start(String),
}

impl Fault {
    /// Classifies an error that wasmtime returned from a call.
    pub(crate) fn from_call(error: &wasmtime::Error, budget: std::time::Duration) -> Self {
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Self::Budget(budget),
            _ => Self::Trap(told(error)),
        }
    }

    /// What the client is told.
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::Budget(_) | Self::Wait(_) => ErrorCode::TIMEOUT,
            Self::Start(_) => ErrorCode::UNAVAILABLE,
            Self::Trap(_) | Self::Effects(_) | Self::Answer { .. } | Self::TooManyEffects(_) => ErrorCode::PLUGIN_FAULT,
        }
    }
}

/// The cause, then the backtrace, which wasmtime gives the other way round. Names in it are the guest's.
fn told(error: &wasmtime::Error) -> String {
    let (trace, causes): (Vec<String>, Vec<String>) =
        error.chain().map(ToString::to_string).partition(|text| text.starts_with("error while executing at wasm backtrace"));
    format!("{}\n{}", causes.join(": "), trace.concat())
}
