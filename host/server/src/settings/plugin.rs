//! `[plugin.NAME]` and `plugins/NAME.toml`: one plugin, its instances, its budgets, its own configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use duet_config::{Document, JsonTable, Kind, Mistakes, Report, Table, boolean, choice, duration, integer, size, word_or};

/// The longest name of a plugin, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// One plugin: its instances, its budgets, its own configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PluginSettings {
    /// Whether the plugin is loaded. Default true.
    pub(crate) enabled: bool,
    /// How many instances run. Default 1: the memory of the instance can then be the state of the game.
    pub(crate) instances: Instances,
    /// What decides the instance that gets a message. Default `connection`.
    pub(crate) affinity: Affinity,
    /// Processor time one call may use, 5 ms to 10 s; ten times as much on the clock. Waiting is not counted. Default
    /// 50 ms. Then the call is ended, the instance replaced, and the client answered `timeout`.
    pub(crate) call_budget: Duration,
    /// Memory of one instance in bytes, 1 MiB to 4 GiB: all its linear memories and tables together. Default 64 MiB.
    /// Growing above it fails inside the plugin.
    pub(crate) memory: u64,
    /// Elements of all tables of one instance, 1 to 10,000,000. Default 20,000. Growing above it fails inside the plugin.
    pub(crate) table_elements: usize,
    /// Log lines a second, 1 to 100,000, and twice as many in one burst. Default 100. Further ones are dropped and counted.
    pub(crate) log_lines_per_second: u32,
    /// Faults within `faults_window` that put the plugin into quarantine, 1 to 1,000. Default 3.
    pub(crate) faults_max: u32,
    /// See `faults_max`; 100 ms to 1 h. Default 10 s.
    pub(crate) faults_window: Duration,
    /// How long a plugin in quarantine answers `unavailable` the first time, 10 ms to 60 s; doubles each time, up to
    /// 60 s. Default 1 s.
    pub(crate) quarantine: Duration,
    /// Calls after which an instance is replaced by a new one in good order, 1 to 10^12; 0: never. Default 0. For
    /// plugins whose language leaks memory.
    pub(crate) recycle_calls: u64,
    /// Memory in bytes at which an instance that has grown is replaced likewise, 1 MiB to below `memory`; 0: never.
    /// Default 0.
    pub(crate) recycle_memory: u64,
    /// Time one call may take with all its waiting, 10 ms to 10 m; only for a plugin that can wait. Default 3 s. Then
    /// the call is ended and the client answered `timeout`.
    pub(crate) wait_timeout: Duration,
    /// Time a message may wait for its worker, 10 ms to 10 m. Default 5 s. Then it is answered `timeout` unhandled.
    pub(crate) queue_timeout: Duration,
    /// `config`: handed to the plugin as JSON. Default empty.
    pub(crate) config: JsonTable,
}

/// How many instances of a plugin run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instances {
    /// This many, 1 to 1,024.
    Count(usize),
    /// One on each worker.
    Workers,
}

/// What decides the instance that gets a message. Messages of one key stay in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// The connection it came from.
    Connection,
    /// The account of its connection; the connection while it is not bound.
    Uid,
    /// Nothing: any instance, no order.
    Any,
}

impl Default for PluginSettings {
    fn default() -> PluginSettings {
        PluginSettings {
            enabled: true,
            instances: Instances::Count(1),
            affinity: Affinity::Connection,
            call_budget: Duration::from_millis(50),
            memory: 64 << 20,
            table_elements: 20_000,
            log_lines_per_second: 100,
            faults_max: 3,
            faults_window: Duration::from_secs(10),
            quarantine: Duration::from_secs(1),
            recycle_calls: 0,
            recycle_memory: 0,
            wait_timeout: Duration::from_secs(3),
            queue_timeout: Duration::from_secs(5),
            config: JsonTable::default(),
        }
    }
}

impl PluginSettings {
    /// Reads `plugins/NAME.toml`, whose keys stand at top level. What it says wins over `base`, key by key; so do the
    /// keys of its `config` table.
    ///
    /// # Errors
    /// Every mistake in the file, under its name. The plugin must not be loaded then; others are not concerned.
    pub(crate) fn from_file(path: &Path, base: &PluginSettings) -> Result<PluginSettings, Mistakes> {
        let report = Report::new();
        let text = duet_config::read(path, &report);
        report.into_result()?;
        PluginSettings::parse(&path.display().to_string(), &text.unwrap_or_default(), base)
    }

    /// Reads the text of such a file; `file` is the name to show in mistakes.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub(crate) fn parse(file: &str, text: &str, base: &PluginSettings) -> Result<PluginSettings, Mistakes> {
        let report = Report::new();
        let document = Document::toml(file, text, &report);
        let settings = PluginSettings::read(document.root(), base);
        report.into_result().map(|()| settings)
    }

    fn read(mut table: Table<'_>, base: &PluginSettings) -> PluginSettings {
        let base = base.clone();
        let (ms, second) = (Duration::from_millis, Duration::from_secs(1));
        let enabled = table.get("enabled", &boolean()).or(base.enabled);
        let instances = table.get("instances", &instances()).or(base.instances);
        let affinity = table.get("affinity", &choice(Affinity::WORDS)).or(base.affinity);
        let call_budget = table.get("call_budget", &duration().range(ms(5)..=10 * second)).or(base.call_budget);
        let memory = table.get("memory", &size().range(1 << 20..=4 << 30)).or(base.memory);
        let below_memory = |bytes: &u64| *bytes == 0 || (1 << 20..memory).contains(bytes);
        let settings = PluginSettings {
            enabled,
            instances,
            affinity,
            call_budget,
            memory,
            table_elements: table.get("table_elements", &integer().range(1..=10_000_000)).or(base.table_elements),
            log_lines_per_second: table.get("log_lines_per_second", &integer().range(1..=100_000)).or(base.log_lines_per_second),
            faults_max: table.get("faults_max", &integer().range(1..=1_000)).or(base.faults_max),
            faults_window: table.get("faults_window", &duration().range(ms(100)..=3_600 * second)).or(base.faults_window),
            quarantine: table.get("quarantine", &duration().range(ms(10)..=60 * second)).or(base.quarantine),
            recycle_calls: table.get("recycle_calls", &integer().range(0..=1_000_000_000_000)).or(base.recycle_calls),
            recycle_memory: table
                .get("recycle_memory", &size())
                .check("0 for never, 1MiB to below `memory`", below_memory)
                .or(base.recycle_memory),
            wait_timeout: table.get("wait_timeout", &duration().range(ms(10)..=600 * second)).or(base.wait_timeout),
            queue_timeout: table.get("queue_timeout", &duration().range(ms(10)..=600 * second)).or(base.queue_timeout),
            config: base.config.merged(table.json_table("config").or(JsonTable::default())),
        };
        table.finish();
        settings
    }
}

impl Affinity {
    const WORDS: &[(&str, Affinity)] = &[("connection", Affinity::Connection), ("uid", Affinity::Uid), ("any", Affinity::Any)];
}

/// Reads every `[plugin.NAME]`.
pub(super) fn read_all(root: &mut Table<'_>, report: &Report) -> BTreeMap<String, PluginSettings> {
    let mut plugins = BTreeMap::new();
    for (name, table) in root.named_tables("plugin") {
        if !is_name(&name) {
            let allowed = "names of 1 to 64 letters, digits, `-`, `_`, and `.` not in front";
            report.mistake(table.own_place(), format!("allowed are {allowed}"));
        }
        plugins.insert(name, PluginSettings::read(table, &PluginSettings::default()));
    }
    plugins
}

/// Whether a file `NAME.wasm` can have this name: one part of a path, and not a hidden file.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

fn instances() -> Kind<Instances> {
    let count = |instances: &Instances| match instances {
        Instances::Count(count) => Some(*count),
        Instances::Workers => None,
    };
    word_or(("workers", Instances::Workers), 1..=1_024, Instances::Count, count)
}
