//! The settings of `duet run`: one TOML file, every mistake reported at once, safe without any file.

mod close_codes;
mod codec;
mod gateway;
mod kcp;
mod limits;
mod listener;
mod log;
mod pairs;
mod plugin;
mod route;
mod runtime;
mod session;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duet_config::{Document, Mistakes, Place, Report, Table, duration, string};
use duet_gateway::CloseReason;

pub(crate) use codec::{ByteOrder, CodecSettings};
pub(crate) use gateway::{GatewaySettings, Heartbeat};
pub(crate) use kcp::KcpSettings;
pub(crate) use limits::LimitSettings;
pub(crate) use listener::{ListenerSettings, Profile, Protocol};
pub(crate) use log::{LogFormat, LogLevel, LogSettings};
pub(crate) use plugin::{Affinity, Instances, PluginSettings};
pub(crate) use route::{ChannelSettings, RouteSettings};
pub(crate) use runtime::RuntimeSettings;
pub(crate) use session::SessionSettings;

/// What a packet takes beside its body, in bytes, rounded up: size, header, route, seq and a WebSocket frame header.
const PACKET_OVERHEAD_BYTES: usize = 64;

/// Everything `duet run` can be told. The defaults are safe to expose to the internet, but listen on loopback only.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// The folder with the plugins (`NAME.wasm`, beside it `NAME.toml`). Relative to the working directory. Default `plugins`.
    /// Links in it are followed as long as they do not lead out of it.
    pub(crate) plugins: PathBuf,
    /// The folder for compiled plugins. It holds native code: nobody else may write to it. Relative to the working
    /// directory. Default `.duet/cache`.
    pub(crate) cache: PathBuf,
    /// How long a stopping server waits for calls and write queues to finish; then it closes what is left. Default 10 s.
    pub(crate) drain_timeout: Duration,
    /// `[log]`: what is logged and how.
    pub(crate) log: LogSettings,
    /// `[codec]`: the layout of packets.
    pub(crate) codec: CodecSettings,
    /// `[gateway]`: connections.
    pub(crate) gateway: GatewaySettings,
    /// `[limits]`: what one client may do.
    pub(crate) limits: LimitSettings,
    /// `[[route]]`: what is special about routes. Default nothing.
    pub(crate) routes: Vec<RouteSettings>,
    /// `[[channel]]`: what is special about channels. Default nothing.
    pub(crate) channels: Vec<ChannelSettings>,
    /// `[close_codes]`: close codes of WebSocket that differ from the usual ones, by the name of the reason. Default none.
    pub(crate) close_codes: Vec<(CloseReason, u16)>,
    /// `[[listener]]`: where clients connect; never empty. Default: ws on 127.0.0.1:3553 and tcp on 127.0.0.1:3554.
    pub(crate) listeners: Vec<ListenerSettings>,
    /// `[runtime]`: what all plugins share.
    pub(crate) runtime: RuntimeSettings,
    /// `[plugin.NAME]`: plugins that are mentioned in this file, by name.
    pub(crate) plugin: BTreeMap<String, PluginSettings>,
}

impl Default for Settings {
    fn default() -> Settings {
        let (codec, gateway) = (CodecSettings::default(), GatewaySettings::default());
        Settings {
            plugins: "plugins".into(),
            cache: ".duet/cache".into(),
            drain_timeout: Duration::from_secs(10),
            log: LogSettings::default(),
            listeners: listener::defaults(&codec, &gateway),
            codec,
            gateway,
            limits: LimitSettings::default(),
            routes: Vec::new(),
            channels: Vec::new(),
            close_codes: Vec::new(),
            runtime: RuntimeSettings::default(),
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

    /// The settings of a plugin before its own file is looked at: from this file, or the defaults.
    pub(crate) fn for_plugin(&self, name: &str) -> PluginSettings {
        self.plugin.get(name).cloned().unwrap_or_default()
    }

    fn read(mut root: Table<'_>, report: &Report) -> Settings {
        let default = Settings::default();
        let plugins = folder(&mut root, "plugins", default.plugins);
        let cache = folder(&mut root, "cache", default.cache);
        let drain_timeout =
            root.get("drain_timeout", &duration().range(Duration::ZERO..=Duration::from_secs(3600))).or(default.drain_timeout);
        let log = LogSettings::read(root.table("log"));

        let (codec_table, gateway_table, runtime_table) = (root.table("codec"), root.table("gateway"), root.table("runtime"));
        let body_place = codec_table.place("body_bytes_max");
        let write_queue_place = gateway_table.place("write_queue_bytes");
        let queue_place = runtime_table.place("queue_bytes");
        let batch_place = runtime_table.place("batch_bytes");
        let codec = CodecSettings::read(codec_table);
        let gateway = GatewaySettings::read(gateway_table);
        let runtime = RuntimeSettings::read(runtime_table);
        let limits_table = root.table("limits");
        let proxies_place = limits_table.place("trusted_proxies");
        let limits = LimitSettings::read(limits_table);

        let body = (body_place, codec.body_bytes_max);
        let routes = route::read_routes(&mut root, &body, report);
        let channels = route::read_channels(&mut root, report);
        let close_codes = close_codes::read(root.table("close_codes"));
        let trusts = !limits.trusted_proxies.is_empty() || report.has(&proxies_place);
        let listeners = listener::read_all(&mut root, &codec, &gateway, trusts, report);
        let plugin = plugin::read_all(&mut root, report);
        root.finish();

        let write_queue = (write_queue_place, gateway.write_queue_bytes);
        let queue = (queue_place, runtime.queue_bytes);
        let batch = (batch_place, runtime.batch_bytes);
        check_fits(report, &body, PACKET_OVERHEAD_BYTES, &write_queue);
        check_fits(report, &body, PACKET_OVERHEAD_BYTES, &queue);
        check_fits(report, &batch, 0, &queue);
        Settings { plugins, cache, drain_timeout, log, codec, gateway, limits, routes, channels, close_codes, listeners, runtime, plugin }
    }
}

/// A folder; an empty name would mean the working directory itself.
fn folder(root: &mut Table<'_>, key: &'static str, default: PathBuf) -> PathBuf {
    let named = |name: &String| !name.trim().is_empty() && !name.contains('\0');
    root.get(key, &string()).check("names of a folder", named).optional().map_or(default, PathBuf::from)
}

/// Checks that what is `small`, with some bytes to spare, has room in what is `large`: a queue that cannot take the
/// largest item would refuse it for ever. The mistake points at the key that is in the file.
fn check_fits(report: &Report, small: &(Place, usize), spare: usize, large: &(Place, usize)) {
    let ((small_at, small_bytes), (large_at, large_bytes)) = (small, large);
    let least = small_bytes.saturating_add(spare);
    // A key that is lost or wrong stands here with its default, which nobody asked to fit.
    if least <= *large_bytes || report.is_torn() || report.has(small_at) || report.has(large_at) {
        return;
    }
    let (place, problem) = if large_at.found.is_some() {
        (large_at, format!("allowed are at least {least} bytes, room for {}", small_at.key))
    } else {
        let most = large_bytes.saturating_sub(spare);
        (small_at, format!("allowed are at most {most} bytes, it has to fit {}", large_at.key))
    };
    report.mistake(place.clone(), problem);
}
