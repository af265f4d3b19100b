//! The settings of `duet run`: one file, every mistake reported at once, safe without any file.
//!
//! Each crate reads its own options; here is which table they are in, what the program itself can be told, and what has to fit together.

#[cfg(test)]
mod example;
mod gate;
mod listener;
mod log;
mod pairs;
mod plugin;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duet_codec::CodecOptions;
use duet_config::{Document, Kind, Mistakes, Place, Report, Settings as _, Table, boolean, duration, string};
use duet_gateway::{CloseReason, read_channels, read_close_codes, read_routes};
use duet_runtime::{CompileLimits, RuntimeOptions};

pub(crate) use gate::GateSettings;
pub(crate) use listener::{ListenerSettings, Protocol};
pub(crate) use log::{LogFormat, LogLevel, LogSettings};
pub(crate) use plugin::PluginSettings;

/// What a packet takes besides its body, in bytes, rounded up: size, header, route, seq and a WebSocket frame header.
const PACKET_OVERHEAD_BYTES: usize = 64;

duet_config::settings! {
    /// The keys above all tables.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct ProcessSettings {
        /// The folder with the plugins, NAME.wasm and beside it NAME.toml. Relative to the working directory. Links are followed inside of the
        /// folder, as in a Kubernetes volume, and never out of it.
        pub(crate) plugins: PathBuf = "plugins".into(), folder();
        /// The folder for compiled plugins. It holds native code: nobody else may write to it. Relative to the working directory.
        pub(crate) cache: PathBuf = RuntimeOptions::default().cache, folder();
        /// Whether the folder is watched while the server runs: a new file is loaded, a changed one replaced, a removed one withdrawn. Without it
        /// that is done on SIGHUP and by `duet plugin swap`.
        pub(crate) watch_plugins: bool = true, boolean();
        /// The socket on which `duet plugin` reaches this server; "" for none. Only the user of the server and root may use it. Relative to
        /// the working directory.
        pub(crate) control: Option<PathBuf> = Some(".duet/control.sock".into()), socket();
        /// How long a stopping server waits for calls and write queues to finish; then it closes what is left.
        pub(crate) drain_timeout: Duration = Duration::from_secs(10), duration().range(Duration::ZERO..=Duration::from_secs(3600));
    }
}

duet_config::settings! {
    /// How plugins are started.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct StartSettings {
        /// How long start-up waits for plugins that still compile. Then the ports open, and their routes are unknown until they are ready.
        pub(crate) start_wait: Duration = Duration::from_secs(10), duration().range(Duration::ZERO..=Duration::from_secs(3600));
    }
}

/// Everything `duet run` can be told. The defaults are safe to expose to the internet, but listen on loopback only.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// The keys above all tables.
    pub(crate) process: ProcessSettings,
    /// `[log]`: what is logged and how.
    pub(crate) log: LogSettings,
    /// `[codec]`: the layout of packets.
    pub(crate) codec: CodecOptions,
    /// `[gateway]`, `[limits]`, `[[route]]` and `[[channel]]`: connections.
    pub(crate) gate: GateSettings,
    /// `[close_codes]`: close codes of WebSocket that differ from the usual ones, by the name of the reason. Default none.
    pub(crate) close_codes: Vec<(CloseReason, u16)>,
    /// `[[listener]]`: where clients connect; never empty. Default: ws on 127.0.0.1:3553 and tcp on 127.0.0.1:3554.
    pub(crate) listeners: Vec<ListenerSettings>,
    /// `[runtime]`: what all plugins share.
    pub(crate) runtime: RuntimeOptions,
    /// `[runtime]` as well.
    pub(crate) start: StartSettings,
    /// `[plugin.NAME]`: plugins that are mentioned in this file, by name.
    pub(crate) plugin: BTreeMap<String, PluginSettings>,
}

impl Default for Settings {
    fn default() -> Settings {
        let (codec, gate) = (CodecOptions::default(), GateSettings::default());
        Settings {
            process: ProcessSettings::default(),
            log: LogSettings::default(),
            listeners: listener::defaults(&codec, &gate),
            codec,
            gate,
            close_codes: Vec::new(),
            runtime: RuntimeOptions::default(),
            start: StartSettings::default(),
            plugin: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Reads a settings file; without one, the defaults.
    ///
    /// # Errors
    /// Every mistake in the file: unreadable, not TOML, unknown keys, wrong values, values that contradict each other.
    pub(crate) fn load(path: Option<&Path>) -> Result<Settings, Mistakes> {
        let Some(path) = path else {
            return Ok(Settings::default());
        };
        let report = Report::new();
        let text = duet_config::read(path, &report);
        report.into_result()?;
        Settings::parse(&path.display().to_string(), &text.unwrap_or_default())
    }

    /// Reads settings from a text; `file` is the name to show in mistakes.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Settings, Mistakes> {
        let report = Report::new();
        let document = Document::toml(file, text, &report);
        let settings = Settings::read(document.root(), &report);
        report.into_result().map(|()| settings)
    }

    /// The settings of a plugin before its own file is read: from this file, or the defaults.
    pub(crate) fn for_plugin(&self, name: &str) -> PluginSettings {
        self.plugin.get(name).cloned().unwrap_or_default()
    }

    fn read(mut root: Table<'_>, report: &Report) -> Settings {
        let process = ProcessSettings::read(&mut root, &ProcessSettings::default());
        let log = LogSettings::read_table(root.table("log"));

        let (codec_table, gateway_table, runtime_table) = (root.table("codec"), root.table("gateway"), root.table("runtime"));
        let body_place = codec_table.place("body_bytes_max");
        let write_queue_place = gateway_table.place("write_queue_bytes");
        let (queue_place, batch_place) = (runtime_table.place("queue_bytes"), runtime_table.place("batch_bytes"));
        let codec = read_codec(codec_table);
        let limits_table = root.table("limits");
        let proxies_place = limits_table.place("trusted_proxies");
        let mut gate = GateSettings::read(gateway_table, limits_table);
        let (runtime, start) = read_runtime(runtime_table, &process);

        let body = (body_place, codec.body_bytes_max as usize);
        gate.options.routes = read_routes(&mut root, &body, report);
        gate.options.channels = read_channels(&mut root, report);
        let close_codes = read_close_codes(root.table("close_codes"));
        let trusts = !gate.options.proxies.is_empty() || report.has(&proxies_place);
        let listeners = listener::read_all(&mut root, &codec, &gate, trusts, report);
        let plugin = plugin::read_all(&mut root, report);
        root.finish();

        let write_queue = (write_queue_place, gate.options.write_queue_bytes);
        let queue = (queue_place, runtime.queue_bytes);
        let batch = (batch_place, runtime.batch_bytes);
        check_fits(report, &body, PACKET_OVERHEAD_BYTES, &write_queue);
        check_fits(report, &body, PACKET_OVERHEAD_BYTES, &queue);
        check_fits(report, &batch, 0, &queue);
        Settings { process, log, codec, gate, close_codes, listeners, runtime, start, plugin }
    }
}

fn read_codec(mut table: Table<'_>) -> CodecOptions {
    let codec = CodecOptions::read(&mut table, &CodecOptions::default());
    table.finish();
    codec
}

fn read_runtime(mut table: Table<'_>, process: &ProcessSettings) -> (RuntimeOptions, StartSettings) {
    let options = RuntimeOptions::read(&mut table, &RuntimeOptions::default());
    let compile_limits = CompileLimits::read(&mut table, &options.compile_limits);
    let start = StartSettings::read(&mut table, &StartSettings::default());
    table.finish();
    (RuntimeOptions { cache: process.cache.clone(), compile_limits, ..options }, start)
}

/// A folder; an empty name would mean the working directory itself.
fn folder() -> Kind<PathBuf> {
    let named = |name: &String| !name.trim().is_empty() && !name.contains('\0');
    string().check("names of a folder", named).map(PathBuf::from, |path| path.display().to_string())
}

/// The longest path of a socket in bytes, which is that of the kernel.
const SOCKET_BYTES_MAX: usize = 107;

/// A socket in the file system, or none.
fn socket() -> Kind<Option<PathBuf>> {
    let fits = |path: &String| path.len() <= SOCKET_BYTES_MAX && !path.contains('\0') && (path.is_empty() || !path.trim().is_empty());
    let allowed = format!("\"\" for none, paths of at most {SOCKET_BYTES_MAX} bytes");
    let there = |path: String| Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
    string().check(allowed, fits).map(there, |path| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default())
}

/// Checks that what is `small`, with some bytes to spare, has room in what is `large`: a queue that cannot take the
/// largest item would refuse it for ever. The mistake points at the key that is in the file.
fn check_fits(report: &Report, small: &(Place, usize), spare: usize, large: &(Place, usize)) {
    let ((small_at, small_bytes), (large_at, large_bytes)) = (small, large);
    let least = small_bytes.saturating_add(spare);
    // A key that is lost or wrong has its default here, which nobody asked to fit.
    if least <= *large_bytes || report.is_torn() || report.has(small_at) || report.has(large_at) {
        return;
    }
    let (place, problem) = if large_at.found.is_some() {
        (large_at, format!("allowed: at least {least} bytes, room for {}", small_at.key))
    } else {
        let most = large_bytes.saturating_sub(spare);
        (small_at, format!("allowed: at most {most} bytes, to fit {}", large_at.key))
    };
    report.mistake(place.clone(), problem);
}
