//! Everything before the ports open. It may wait for files, compilers and plugins, and is given up when a signal says so.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use duet_core::Registry;
use duet_embedded::MemoryRegistry;
use duet_gateway::{ListenerOptions, Sessions};
use duet_runtime::Runtime;
use tokio::sync::oneshot;

use crate::cli::RunArguments;
use crate::control::{Place, PlaceError};
use crate::drop_folder::{DropFolder, Folder};
use crate::settings::Settings;
use crate::signals::Signals;
use crate::{logging, open_files, output, wiring};

/// How long compilers may take to end, and plugins that are being described or started.
const GIVE_UP: Duration = Duration::from_secs(2);

/// A server whose plugins are loaded.
pub(super) struct Started {
    pub(super) settings: Arc<Settings>,
    pub(super) listeners: Vec<ListenerOptions>,
    pub(super) registry: Arc<dyn Registry>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) runtime: Arc<Runtime>,
    pub(super) folder: Folder,
    pub(super) drop_folder: Arc<DropFolder>,
    /// Where commands reach this server, if they do.
    pub(super) control: Option<Place>,
}

/// Gets everything ready. Otherwise the process ends with this code: a signal came, or the settings are wrong, which has been reported.
///
/// # Errors
/// What the operator has to know before a server can start.
pub(super) async fn start(arguments: RunArguments, signals: &Signals) -> anyhow::Result<Result<Started, ExitCode>> {
    let prepared = tokio::select! {
        prepared = apart("duet-start", move || prepare(&arguments)) => prepared??,
        () = signals.stopped(1) => return Ok(Err(given_up())),
    };
    let started = match prepared {
        Ok(started) => started,
        Err(end) => return Ok(Err(end)),
    };
    let (runtime, drop_folder) = (Arc::clone(&started.runtime), Arc::clone(&started.drop_folder));
    tokio::select! {
        folder = apart("duet-start", move || drop_folder.load(&runtime)) => {
            Ok(Ok(Started { folder: folder?.context("watching the folder of plugins")?, ..started }))
        }
        () = signals.stopped(1) => {
            let loader = started.runtime.loader();
            loader.stop();
            tokio::select! {
                // Either way the process ends now.
                _ = tokio::time::timeout(GIVE_UP, loader.idle()) => {}
                () = signals.stopped(2) => {}
            }
            Ok(Err(given_up()))
        }
    }
}

fn given_up() -> ExitCode {
    tracing::info!("stopped before it was ready");
    ExitCode::SUCCESS
}

/// Does something that blocks on a thread of its own, whose end nobody has to wait for.
pub(super) async fn apart<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(move || drop(done.send(work()))).context("starting a thread")?;
    result.await.with_context(|| format!("the thread {name} was broken off by a panic"))
}

/// The part that loads no plugin yet.
fn prepare(arguments: &RunArguments) -> anyhow::Result<Result<Started, ExitCode>> {
    let settings = match Settings::load(arguments.config.as_deref()) {
        Ok(settings) => Arc::new(settings),
        Err(mistakes) => {
            output::complain(mistakes);
            return Ok(Err(ExitCode::FAILURE));
        }
    };
    logging::start(&settings.log)?;
    let listeners = settings.listeners.iter().map(|l| wiring::listener(&settings, l)).collect::<Result<Vec<_>, _>>()?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = open_files::warning(&settings, &listeners, open_files::raise()) {
        tracing::warn!("{warning}");
    }
    let control = control(&settings)?;
    let registry: Arc<dyn Registry> = Arc::<MemoryRegistry>::default();
    let sessions = Arc::new(Sessions::new(wiring::gateway(&settings)?));
    let runtime = Runtime::new(
        wiring::runtime(&settings)?,
        Arc::clone(&registry),
        Arc::<Sessions>::clone(&sessions) as _,
        Arc::<Sessions>::clone(&sessions) as _,
    )?;
    if arguments.native_echo {
        serve_native_echo(&settings, &runtime)?;
    }
    let drop_folder = Arc::new(DropFolder::new(&runtime, &settings).context("watching the folder of plugins")?);
    Ok(Ok(Started { settings, listeners, registry, sessions, runtime, folder: Folder::default(), drop_folder, control }))
}

/// Takes the control socket, early: two servers that share it share their folders as well. Without one for any other reason the server
/// serves all the same.
fn control(settings: &Settings) -> anyhow::Result<Option<Place>> {
    match settings.process.control.as_deref().map(Place::take).transpose() {
        Err(taken @ PlaceError::Taken { .. }) => Err(taken.into()),
        Err(error) => {
            tracing::error!("{error}; `duet plugin` does not reach this server");
            Ok(None)
        }
        Ok(place) => Ok(place),
    }
}

/// With the options of the plugin it is compared with, such as the number of instances.
fn serve_native_echo(settings: &Settings, runtime: &Runtime) -> anyhow::Result<()> {
    let options = settings.for_plugin("echo").options;
    fn handle(requests: &mut [u8], effects: &mut Vec<u8>) {
        if let Err(error) = duet_echo::Plugin::handle_batch(requests, effects) {
            tracing::error!("native echo: {error}");
        }
    }
    Ok(runtime.serve_native("native-echo", &duet_echo::Plugin::manifest(), handle, options)?)
}
