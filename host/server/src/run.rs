//! `duet run`: from the first signal handler to the last line of the log.

mod start;

use std::convert::Infallible;
use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use duet_core::Dispatch as _;
use duet_gateway::{CloseReason, Gateway};
use duet_runtime::Runtime;
use tokio::sync::watch;

use self::start::{Started, apart, start};
use crate::banner::{self, Banner};
use crate::cli::RunArguments;
use crate::control::Desk;
use crate::drop_folder::DropFolder;
use crate::lent::Lender;
use crate::signals::Signals;
use crate::{certificates, control, exposure, output, refusals, wiring};

/// How long I/O threads and compilers may take to end.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Runs until a signal ends it.
pub(crate) fn run(arguments: RunArguments) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let signals = Signals::handle().context("handling signals")?;
    // Not the runtime of the I/O threads: their number is in the settings, which may have to be waited for.
    let waiting = tokio::runtime::Builder::new_current_thread().enable_time().build().context("waiting for the start")?;
    match waiting.block_on(start(arguments, &signals))? {
        Ok(started) => serve(started, &signals, &waiting, begun),
        Err(end) => Ok(end),
    }
}

fn serve(started: Started, signals: &Signals, waiting: &tokio::runtime::Runtime, begun: Instant) -> anyhow::Result<ExitCode> {
    let io_threads = wiring::threads(started.settings.gate.io.io_threads);
    let io = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(io_threads)
        .thread_name("duet-io")
        .enable_all()
        .build()
        .context("starting the I/O threads")?;
    let drained = io.block_on(async {
        let dispatch = Arc::<Runtime>::clone(&started.runtime) as _;
        let gateway = Gateway::open(&started.listeners, Arc::clone(&started.sessions), dispatch, Arc::clone(&started.registry))?;
        announce(&started, &gateway, io_threads, begun);
        listen(&started);
        tokio::select! {
            () = signals.stopped(1) => {}
            never = certificates::watch(&started.listeners, signals.hangups()) => match never {},
            never = look_again(&started.drop_folder, signals.hangups()) => match never {},
            never = refusals::watch(started.sessions.stats()) => match never {},
        }
        let deadline = Instant::now() + started.settings.process.drain_timeout;
        anyhow::Ok(drain(&started, gateway, signals).await.then_some(deadline))
    })?;
    let Started { runtime, sessions, control, .. } = started;
    runtime.withdraw_all();
    tell(&runtime);
    let done = if let Some(deadline) = drained {
        // The tasks hold the plugins; these can only stop in good order once they are gone.
        io.shutdown_timeout(SHUTDOWN);
        waiting.block_on(end(runtime, signals, deadline.max(Instant::now() + SHUTDOWN)))
    } else {
        io.shutdown_background();
        // Dropping it would wait for the calls; they end with the process.
        std::mem::forget(runtime);
        false
    };
    if !done {
        tracing::warn!("stopped in the middle of calls, by drain_timeout or a second signal");
    }
    drop(control);
    let stats = sessions.stats();
    let closed: Vec<String> =
        CloseReason::ALL.iter().filter(|r| stats.closed(**r) > 0).map(|r| format!("{}={}", r.name(), stats.closed(*r))).collect();
    tracing::info!(accepted = stats.accepted(), closed = closed.join(" "), refused = refusals::all(stats), "stopped");
    Ok(ExitCode::SUCCESS)
}

/// What each plugin did.
fn tell(runtime: &Runtime) {
    for plugin in runtime.snapshot() {
        let total = plugin.total();
        tracing::debug!(
            plugin = plugin.name,
            version = plugin.version,
            calls = plugin.calls,
            requests = total.requests,
            errors = total.errors,
            faults = plugin.faults,
            guest_time = ?total.guest_time,
            "plugin withdrawn"
        );
    }
}

fn announce(started: &Started, gateway: &Gateway, io_threads: usize, begun: Instant) {
    let Started { settings, listeners, folder, .. } = started;
    for (listener, address) in listeners.iter().zip(gateway.addresses()) {
        for warning in exposure::warnings(listener) {
            tracing::warn!("{}: {warning}", banner::url(listener, *address));
        }
    }
    let workers = settings.runtime.threads();
    output::announce(Banner { listeners, addresses: gateway.addresses(), folder, workers, io_threads, time: begun.elapsed() });
}

/// Answers commands from now on.
fn listen(started: &Started) {
    let Some(place) = &started.control else { return };
    let desk = Desk { lender: Lender::of(&started.runtime), folder: Arc::clone(&started.drop_folder) };
    if let Err(error) = place.listener().and_then(|listener| control::listen(listener, Arc::new(desk))) {
        tracing::error!("no command reaches this server: {error}");
    }
}

/// Has the folder of plugins looked through on each SIGHUP. Never ends.
async fn look_again(folder: &DropFolder, mut hangups: watch::Receiver<u32>) -> Infallible {
    loop {
        match hangups.changed().await {
            Ok(()) => folder.look_again(),
            // Without a sender, nobody asks any more.
            Err(_) => pending().await,
        }
    }
}

/// Whether everything under way came to its end, before `drain_timeout` and a second signal.
async fn drain(started: &Started, gateway: Gateway, signals: &Signals) -> bool {
    let Started { settings, sessions, runtime, .. } = started;
    let (open, timeout) = (sessions.stats().open(), settings.process.drain_timeout);
    tracing::info!(connections = open, ?timeout, "stopping: no new connections, finishing what is in flight");
    let loader = runtime.loader();
    loader.stop();
    let drained = async {
        let cut = gateway.drain(timeout).await;
        if cut > 0 {
            tracing::warn!(connections = cut, "cut off: they did not end within drain_timeout");
        }
        drop(tokio::time::timeout(SHUTDOWN, loader.idle()).await);
        cut == 0 && runtime.is_idle()
    };
    tokio::select! {
        done = drained => done,
        // A second signal means now.
        () = signals.stopped(2) => false,
    }
}

/// Lets the instances run `stop`. False if that takes longer than `deadline`, or a second signal came: the rest ends with the process.
async fn end(runtime: Arc<Runtime>, signals: &Signals, deadline: Instant) -> bool {
    tokio::select! {
        // First, because a future that was never polled would drop the runtime here, and wait.
        biased;
        ended = apart("duet-stop", move || drop(runtime)) => ended.is_ok(),
        () = signals.stopped(2) => false,
        () = tokio::time::sleep_until(deadline.into()) => false,
    }
}
