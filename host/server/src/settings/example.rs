//! Every key in the order of the documentation: what `duet.example.toml` and the tables of the manual are made from.

use duet_config::{Setting, Settings as _};
use duet_gateway::{LimitOptions, describe_channel, describe_close_codes, describe_route};
use duet_runtime::CompileLimits;

use super::listener::{describe_place, describe_tls};
use super::plugin::LoadSettings;
use super::*;

/// Columns of a comment.
const WIDTH: usize = 120;

/// One table of the file.
pub(super) struct Section {
    /// As in the file; empty for the keys above all tables.
    pub(super) header: &'static str,
    /// Said once, before its keys.
    intro: &'static str,
    /// Whether it is not there by default: then the file has it with a `#` in front.
    hidden: bool,
    pub(super) keys: Vec<Written>,
}

/// A key as it is in the example.
pub(super) struct Written {
    pub(super) setting: Setting,
    /// Instead of its default.
    value: Option<&'static str>,
    /// Whether its comment is elsewhere.
    bare: bool,
}

impl Written {
    /// Whether this is where it is described.
    pub(super) fn is_first(&self) -> bool {
        !self.bare
    }
}

impl Section {
    fn new(header: &'static str, intro: &'static str, keys: impl IntoIterator<Item = Setting>) -> Section {
        let keys = keys.into_iter().map(|setting| Written { setting, value: None, bare: false }).collect();
        Section { header, intro, hidden: false, keys }
    }

    fn hidden(self) -> Section {
        Section { hidden: true, ..self }
    }

    /// Gives a key another value than its default.
    fn with(mut self, key: &str, value: &'static str) -> Section {
        self.keys.iter_mut().filter(|written| written.setting.key == key).for_each(|written| written.value = Some(value));
        self
    }

    fn bare(mut self, keys: impl IntoIterator<Item = Setting>) -> Section {
        self.keys.extend(keys.into_iter().map(|setting| Written { setting, value: None, bare: true }));
        self
    }
}

/// All tables; of the second and later listeners of the example, only what is theirs alone.
pub(super) fn sections() -> Vec<Section> {
    let settings = Settings::default();
    let (gate, listener) = (&settings.gate, &settings.listeners[0]);
    let client = &gate.client;
    let gateway = [
        gate.io.describe(),
        gate.options.describe(),
        client.timeouts.describe(),
        gate.options.sessions.describe(),
        gate.memory.describe(),
        client.notices.describe(),
        client.sessions.describe(),
    ];
    let again = [settings.codec.describe(), client.timeouts.describe(), client.notices.describe(), client.sessions.describe()];
    let again = again.concat().into_iter().filter(|setting| setting.again);
    let own = [describe_place(), listener.own.describe(), listener.ws.describe(), listener.proxy.describe()].concat();
    let runtime = [settings.runtime.describe(), CompileLimits::default().describe(), settings.start.describe()];
    let plugin = [LoadSettings::default().describe(), duet_runtime::PluginOptions::default().describe()];
    vec![
        Section::new("", "", settings.process.describe()),
        Section::new("[log]", "Lines go to standard error; up to 1 MiB waits for a slow reader, the rest is dropped and counted.", settings.log.describe()),
        Section::new("[codec]", "The layout of packets; the same for gate, nodes and clients.", settings.codec.describe()),
        Section::new("[gateway]", "Connections, of all listeners together.", gateway.concat()),
        Section::new("[limits]", "What one client may do.", [gate.options.guard.describe(), LimitOptions::default().describe()].concat()),
        Section::new("[[route]]", "What is special about a route; by default nothing.", describe_route())
            .with("route", "5")
            .with("body_bytes_max", "\"4KiB\"")
            .hidden(),
        Section::new("[[channel]]", "What is special about channels whose names begin alike; by default nothing.", describe_channel())
            .with("prefix", "\"world.\"")
            .with("overflow", "\"keep-latest\"")
            .hidden(),
        Section::new("[close_codes]", "Close codes that WebSocket clients see, where they are to differ from the usual ones, which are given here. 3000 to 4999 are for applications.", describe_close_codes()).hidden(),
        Section::new("[[listener]]", "Where clients connect. Without any [[listener]]: these two. With one, only those in the file.", own)
            .with("protocol", "\"ws\"")
            .with("address", "\"127.0.0.1:3553\"")
            .bare(again),
        Section::new("[[listener]]", "", describe_place()).with("protocol", "\"tcp\"").with("address", "\"127.0.0.1:3554\"").brief(),
        Section::new("[[listener]]", "", [describe_place(), describe_tls()].concat())
            .with("protocol", "\"tcp\"")
            .with("address", "\"127.0.0.1:3556\"")
            .with("tls_cert", "\"cert.pem\"")
            .with("tls_key", "\"key.pem\"")
            .brief_but(&["tls_cert", "tls_key"])
            .hidden(),
        Section::new("[[listener]]", "kcp needs a heartbeat_interval, because clients leave without a goodbye.", describe_place())
            .with("protocol", "\"kcp\"")
            .with("address", "\"127.0.0.1:3555\"")
            .brief()
            .hidden(),
        Section::new("[listener.kcp]", "In KCP's own words; the clients may have other values.", listener.kcp.describe()).hidden(),
        Section::new("[runtime]", "What all plugins share.", runtime.concat()),
        Section::new("[plugin.echo]", "One plugin, here plugins/echo.wasm. The same keys may stand at top level of plugins/echo.toml, which wins.", plugin.concat()),
        Section::new("[plugin.echo.config]", "Anything; the plugin reads it as JSON.", []),
    ]
}

impl Section {
    /// Leaves out the comments of its keys, which are already above.
    fn brief(self) -> Section {
        self.brief_but(&[])
    }

    fn brief_but(mut self, keys: &[&str]) -> Section {
        self.keys.iter_mut().filter(|written| !keys.contains(&written.setting.key)).for_each(|written| written.bare = true);
        self
    }

    /// Its text in the example.
    fn text(&self) -> String {
        let hash = if self.hidden { "#" } else { "" };
        let mut text = comment(self.intro);
        if !self.header.is_empty() {
            text += &format!("{hash}{}\n", self.header);
        }
        for written in &self.keys {
            let setting = &written.setting;
            if !written.bare {
                text += &comment(&format!("{} Allowed: {}.", setting.meaning, setting.allowed));
            }
            let value = written.value.or(setting.default.as_deref()).unwrap_or_default();
            text += &format!("{hash}{} = {value}\n", setting.key);
        }
        text
    }
}

/// The whole of `duet.example.toml`.
pub(super) fn example() -> String {
    let head = "Every setting of `duet run` with its default. A file may be empty: leave out what is to stay as it is.\n\n\
                Sizes are bytes, as a number or with a unit (\"64KiB\", \"1MiB\", \"2GiB\"). Durations have a unit (\"250ms\", \"5s\", \"2m\", \"1h\").\n\
                A wrong file is refused at start with all its mistakes, each with its line and what is allowed. Values that are each\n\
                allowed but do not go together are warned about: a queue_timeout below call_budget, a drain_spread above drain_timeout\n\
                and others, with both keys and what to do.\n\
                Lines that begin with # and no space are examples of what is not there by default.\n\
                Made by `cargo xtask settings` from what the crates declare.";
    let mut text: String = head.lines().map(|line| if line.is_empty() { "#\n".to_owned() } else { format!("# {line}\n") }).collect();
    for section in sections() {
        text += "\n";
        text += &section.text();
    }
    text
}

/// The tables of the manual.
pub(super) fn manual() -> String {
    let mut text = String::new();
    for section in sections().iter().filter(|section| section.keys.iter().any(Written::is_first)) {
        let title = if section.header.is_empty() { "Above all tables".to_owned() } else { format!("`{}`", section.header) };
        let intro = if section.intro.is_empty() { String::new() } else { format!("{}\n\n", section.intro) };
        text += &format!("\n### {title}\n\n{intro}| key | default | allowed | what it is |\n|---|---|---|---|\n");
        for Written { setting, .. } in section.keys.iter().filter(|written| written.is_first()) {
            let default = setting.default.as_ref().map_or("none".to_owned(), |value| format!("`{value}`"));
            let again = if setting.again { " A listener may set it itself." } else { "" };
            let allowed = setting.allowed.replace('|', "\\|");
            text += &format!("| `{}` | {default} | {allowed} | {}{again} |\n", setting.key, setting.meaning);
        }
    }
    text
}

/// Lines of a comment; none for no text.
fn comment(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => *line += &format!(" {word}"),
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}
