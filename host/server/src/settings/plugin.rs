//! `[plugin.NAME]` and `plugins/NAME.toml`: one plugin, its instances, its budgets, its own configuration.

use std::collections::BTreeMap;
use std::path::Path;

use duet_config::{Document, Mistakes, Report, Settings as _, Table, boolean};
use duet_runtime::PluginOptions;

/// The longest name of a plugin, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// One plugin as the program finds it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PluginSettings {
    /// Whether it is loaded at all.
    pub(crate) load: LoadSettings,
    /// How it is run.
    pub(crate) options: PluginOptions,
}

duet_config::settings! {
    /// Whether a plugin is loaded.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct LoadSettings {
        /// Whether the plugin is loaded.
        pub(crate) enabled: bool = true, boolean();
    }
}

impl PluginSettings {
    /// Reads `plugins/NAME.toml`, whose keys are at top level. What it says wins over `base`, key by key; so do the keys of its `config`
    /// table.
    ///
    /// # Errors
    /// Every mistake in the file, under its name. The plugin must not be loaded then; others are not affected.
    pub(crate) fn from_file(path: &Path, base: &PluginSettings) -> Result<PluginSettings, Mistakes> {
        let report = Report::new();
        let text = duet_config::read_inside(path, &report);
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
        let load = LoadSettings::read(&mut table, &base.load);
        let options = PluginOptions::from_table(&mut table, &base.options);
        table.finish();
        PluginSettings { load, options }
    }
}

/// Reads every `[plugin.NAME]`.
pub(super) fn read_all(root: &mut Table<'_>, report: &Report) -> BTreeMap<String, PluginSettings> {
    let mut plugins = BTreeMap::new();
    for (name, table) in root.named_tables("plugin") {
        if !is_name(&name) {
            let allowed = "names of 1 to 64 letters, digits, `-`, `_`, and `.` not in front";
            report.mistake(table.own_place(), format!("allowed: {allowed}"));
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
