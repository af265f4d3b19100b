//! The load generator: one thread, edge-triggered readiness, a window of outstanding requests on each connection, every reply checked.
//! Besides, it makes other loads in the same way: broadcasts to many, connecting over and over, and idle connections.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic or wait when the output is closed or not read")]

mod broadcast;
mod connection;
mod connects;
mod dial;
mod frames;
mod idle;
mod inlet;
mod kcp;
mod line;
mod outstanding;
mod process;
mod report;
mod run;
mod tally;
mod ws;

use std::io;
use std::time::Duration;

use duet_codec::{EncodeError, Format};

use dial::{Dial, Dialler, KcpDialler};
use duet_client::{Endpoint, Transport};
use frames::Frames;
use line::Line;
use run::Run;

pub use broadcast::{Audience, BroadcastOptions, broadcast};
pub use connects::{ConnectsOptions, connects};
pub use idle::{IdleOptions, IdleProgress, IdleReport, ServerCost, hold_idle};
pub use kcp::Loss;
pub use process::ProcessError;
pub use report::{LoadReport, LoadTable};

/// What to send, to whom, and for how long.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The server.
    pub endpoint: Endpoint,
    /// Sizes, byte order and profile of the server's listener.
    pub format: Format,
    /// Connections opened. Default 50.
    pub connections: usize,
    /// Requests of one connection that wait for their answer at a time; 1 is a closed loop. Default 64.
    pub window: usize,
    /// The route of every request. Default 1.
    pub route: i32,
    /// The body of every request. Default [`LoadBody::Letters`] with 1,024.
    pub body: LoadBody,
    /// Whether an answer has to have the size of its request. Default true, as an echo gives it.
    pub same_size: bool,
    /// Time before anything is measured. Default 1 s.
    pub warm_up: Duration,
    /// Time that is measured, after the warm-up. Default 10 s.
    pub duration: Duration,
    /// How long the last answers are waited for when the time is over. Default 2 s.
    pub drain: Duration,
    /// How long one connection may take to open, with the ws upgrade. Default 3 s.
    pub dial_timeout: Duration,
    /// Datagrams that get lost, over kcp. Default none.
    pub loss: Loss,
}

impl LoadOptions {
    /// Options with the defaults named at each field.
    pub fn new(endpoint: Endpoint, format: Format) -> Self {
        Self {
            endpoint,
            format,
            connections: 50,
            window: 64,
            route: 1,
            body: LoadBody::Letters(1_024),
            same_size: true,
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(10),
            drain: Duration::from_secs(2),
            dial_timeout: Duration::from_secs(3),
            loss: Loss::default(),
        }
    }
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadBody {
    /// `{"message":"..."}` with this many letters, the frame of due's own load test.
    Letters(usize),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl LoadBody {
    fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Letters(count) => r#"{"message":""}"#.len() + count,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Letters(count) => {
                let letters: String = ('a'..='z').chain('A'..='Z').cycle().take(*count).collect();
                format!("{{\"message\":\"{letters}\"}}").into_bytes()
            }
        }
    }
}

/// How far a run has got; reported once a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Time since the first request.
    pub elapsed: Duration,
    /// Whether this is still the warm-up.
    pub warming_up: bool,
    /// Replies per second since the last progress.
    pub rate: f64,
    /// Replies so far, the warm-up included.
    pub replies: u64,
    /// Connections that are open.
    pub open: usize,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An option that makes no sense.
    #[error("{0}")]
    Options(&'static str),
    /// The request does not fit the format.
    #[error("the request does not fit the format")]
    Encode(#[from] EncodeError),
    /// A connection could not be opened.
    #[error("cannot open connection {number} to {endpoint}")]
    Dial {
        /// Which one, from 1.
        number: usize,
        /// The server.
        endpoint: Endpoint,
        /// What the system said, or what was wrong with the answer to the ws upgrade.
        source: io::Error,
    },
    /// The system's readiness queue failed.
    #[error("waiting for the sockets failed")]
    Poll(#[source] io::Error),
    /// The figures of the server's process cannot be read.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The first answers, without which nothing can be measured, did not come.
    #[error("{0}")]
    Setup(String),
    /// Every connection ended before the time was over.
    #[error("all connections ended; the last because {0}")]
    AllEnded(String),
}

/// Opens the connections, keeps their windows full for the warm-up and the measured time, and waits for the last answers.
/// Blocks the thread; `progress` is called on it once a second.
///
/// # Errors
/// The options make no sense, the server cannot be reached, or all connections ended.
pub fn run(options: &LoadOptions, progress: impl FnMut(&Progress)) -> Result<LoadReport, LoadError> {
    if options.connections == 0 || options.window == 0 || options.duration.is_zero() {
        return Err(LoadError::Options("connections, window and duration have to be more than 0"));
    }
    let frames = Frames::new(options)?;
    if frames.seq_max().is_some_and(|max| options.window > max as usize) {
        return Err(LoadError::Options("the window is larger than the seqs that the format can tell apart"));
    }
    let dial_error = |source| LoadError::Dial { number: 1, endpoint: options.endpoint.clone(), source };
    match options.endpoint.transport() {
        Transport::Kcp => {
            let dialler = KcpDialler::new(&options.endpoint, options.loss, options.connections).map_err(dial_error)?;
            go(options, dialler, frames, progress)
        }
        _ if options.loss.part > 0.0 => Err(LoadError::Options("only datagrams of kcp can be lost")),
        transport => {
            need_plain(transport)?;
            let dialler = Dialler::new(&options.endpoint, options.dial_timeout, options.connections).map_err(dial_error)?;
            go(options, dialler, frames, progress)
        }
    }
}

fn go<L: Line>(
    options: &LoadOptions,
    dialler: impl Dial<Line = L>,
    frames: Frames,
    progress: impl FnMut(&Progress),
) -> Result<LoadReport, LoadError> {
    Run::open(options, dialler, frames, progress)?.go(options)
}

/// TLS costs what its library costs, which says nothing about the server. So the generator has none.
fn need_plain(transport: Transport) -> Result<(), LoadError> {
    if transport.is_secure() {
        return Err(LoadError::Options("the load generator has no TLS; measure behind tcp, ws or kcp"));
    }
    Ok(())
}

/// What broadcasts and connecting over and over need.
fn need_stream(transport: Transport) -> Result<(), LoadError> {
    if transport == Transport::Kcp {
        return Err(LoadError::Options("this load is for tcp and ws only"));
    }
    need_plain(transport)
}
