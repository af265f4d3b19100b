//! `duet run`: wires the crates together, opens the ports, and ends in good order.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use duet_core::{Dispatch, Registry};
use duet_embedded::MemoryRegistry;
use duet_gateway::{CloseReason, Connections, Gateway};
use duet_runtime::{Instances, PluginOptions, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::banner::{self, Banner};
use crate::cli::RunArguments;
use crate::drop_folder;
use crate::settings::Settings;
use crate::{certificates, exposure, logging, refusals, wiring};

/// How long I/O threads may take to end.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let settings = match Settings::load(arguments.config.as_deref()) {
        Ok(settings) => Arc::new(settings),
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return Ok(ExitCode::FAILURE);
        }
    };
    logging::start(&settings.log)?;
    let listeners = settings.listeners.iter().map(|l| wiring::listener(&settings, l)).collect::<Result<Vec<_>, _>>()?;
    let registry: Arc<dyn Registry> = Arc::<MemoryRegistry>::default();
    let connections = Arc::new(Connections::new(wiring::gateway(&settings)?));
    let runtime = Runtime::new(
        wiring::runtime(&settings)?,
        Arc::clone(&registry),
        Arc::<Connections>::clone(&connections) as _,
        Arc::<Connections>::clone(&connections) as _,
    )?;
    if arguments.native_echo {
        serve_native_echo(&runtime)?;
    }
    let folder = drop_folder::load(&runtime, &settings);

    let io_threads = wiring::threads(settings.gateway.io_threads);
    let io = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(io_threads)
        .thread_name("duet-io")
        .enable_all()
        .build()
        .context("starting the I/O threads")?;
    let done = io.block_on(async {
        let gateway = Gateway::open(&listeners, Arc::clone(&connections), Arc::<Runtime>::clone(&runtime) as _, registry)?;
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        for (listener, address) in listeners.iter().zip(gateway.addresses()) {
            for warning in exposure::warnings(listener) {
                tracing::warn!("{}: {warning}", banner::url(listener, *address));
            }
        }
        let workers = wiring::threads(settings.runtime.workers);
        println!(
            "{}",
            Banner { listeners: &listeners, addresses: gateway.addresses(), folder: &folder, workers, io_threads, time: begun.elapsed() }
        );
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            never = certificates::watch(&listeners) => match never? {},
            never = refusals::watch(connections.stats()) => match never {},
        }
        let open = connections.stats().open();
        tracing::info!(connections = open, timeout = ?settings.drain_timeout, "stopping: no new connections, finishing what is in flight");
        let done = tokio::select! {
            cut = gateway.drain(settings.drain_timeout) => {
                if cut > 0 {
                    tracing::warn!(connections = cut, "cut off: they did not end within drain_timeout");
                }
                cut == 0 && runtime.is_idle()
            }
            // A second signal means now.
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
        };
        anyhow::Ok(done)
    })?;
    runtime.withdraw_all();
    if done {
        // The tasks hold the plugins; these can only stop in good order once they are gone.
        io.shutdown_timeout(SHUTDOWN);
        drop(runtime);
    } else {
        tracing::warn!("stopped in the middle of calls, by drain_timeout or a second signal");
        io.shutdown_background();
        // Dropping it would wait for the calls; they end with the process.
        std::mem::forget(runtime);
    }
    let stats = connections.stats();
    let closed: Vec<String> =
        CloseReason::ALL.iter().filter(|r| stats.closed(**r) > 0).map(|r| format!("{}={}", r.name(), stats.closed(*r))).collect();
    tracing::info!(accepted = stats.accepted(), closed = closed.join(" "), refused = refusals::all(stats), "stopped");
    Ok(ExitCode::SUCCESS)
}

fn serve_native_echo(runtime: &Runtime) -> anyhow::Result<()> {
    let options = PluginOptions { instances: Instances::Workers, ..PluginOptions::default() };
    fn handle(requests: &mut [u8], effects: &mut Vec<u8>) {
        if let Err(error) = duet_echo::Plugin::handle_batch(requests, effects) {
            tracing::error!("native echo: {error}");
        }
    }
    Ok(runtime.serve_native("native-echo", &duet_echo::Plugin::manifest(), handle, options)?)
}
