//! What can be asked, and what comes of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The version of this protocol. Within a version fields are only added to answers, and verbs and optional arguments to requests.
pub const VERSION: u32 = 1;

/// One thing to do. An argument that the verb does not have is a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", deny_unknown_fields)]
pub enum Verb {
    /// What serves, and how it does.
    #[serde(rename = "plugin.list")]
    List {},
    /// Puts another version into the place of the one that serves.
    #[serde(rename = "plugin.swap")]
    Swap {
        /// The plugin.
        name: String,
        /// The file to load, as the server sees it; `None` for the one in its folder of plugins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<PathBuf>,
        /// Also if routes go away that are being called, or the state cannot be kept.
        #[serde(default)]
        force: bool,
    },
    /// Goes back to a version that served before.
    #[serde(rename = "plugin.rollback")]
    RollBack {
        /// The plugin.
        name: String,
        /// What the hash of that version begins with; `None` for the one before the one that serves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
    },
    /// What happened to the versions of a plugin.
    #[serde(rename = "plugin.log")]
    Log {
        /// The plugin.
        name: String,
    },
}

impl Verb {
    /// The names of all verbs.
    pub const NAMES: [&'static str; 4] = ["plugin.list", "plugin.swap", "plugin.rollback", "plugin.log"];

    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List {} => "plugin.list",
            Self::Swap { .. } => "plugin.swap",
            Self::RollBack { .. } => "plugin.rollback",
            Self::Log { .. } => "plugin.log",
        }
    }

    /// The plugin that it is about.
    pub fn plugin(&self) -> Option<&str> {
        match self {
            Self::List {} => None,
            Self::Swap { name, .. } | Self::RollBack { name, .. } | Self::Log { name } => Some(name),
        }
    }
}

/// What came of a verb. Times are Unix time in milliseconds, durations microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb")]
pub enum Done {
    /// Of [`Verb::List`].
    #[serde(rename = "plugin.list")]
    List {
        /// What serves, by name.
        plugins: Vec<Plugin>,
        /// Files that are not served as they are now, by name.
        refused: Vec<RefusedFile>,
    },
    /// Of [`Verb::Swap`].
    #[serde(rename = "plugin.swap")]
    Swap(Swapped),
    /// Of [`Verb::RollBack`].
    #[serde(rename = "plugin.rollback")]
    RollBack(Swapped),
    /// Of [`Verb::Log`].
    #[serde(rename = "plugin.log")]
    Log {
        /// The plugin.
        name: String,
        /// What happened, the newest first.
        changes: Vec<Change>,
    },
}

/// Which version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// What the plugin says.
    pub version: String,
    /// The hash of its file in hex; `None` for code that is linked into the server.
    pub hash: Option<String>,
}

/// A plugin that serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// The version that serves.
    #[serde(flatten)]
    pub version: Version,
    /// Since when it does.
    pub since_ms: Option<u64>,
    /// What became of the state when this version came: `none`, `kept`, `earlier`, `lost`; `None` of the first.
    pub state: Option<String>,
    /// How long this version is still on probation.
    pub probation_us: Option<u64>,
    /// Whether it is out of service now.
    pub is_quarantined: bool,
    /// How many instances there are.
    pub instances: usize,
    /// Requests that were taken and are not handled yet.
    pub in_flight: usize,
    /// Calls of this version.
    pub calls: u64,
    /// Requests that it was called with.
    pub requests: u64,
    /// Those among them that were answered with errors.
    pub errors: u64,
    /// Traps and overrun budgets.
    pub faults: u64,
    /// Half of the requests took at most so long.
    pub p50_us: Option<u64>,
    /// 99 % of the requests took at most so long.
    pub p99_us: Option<u64>,
    /// Memories and tables of all instances.
    pub memory_bytes: u64,
    /// Each route, in order, and all events, which have none.
    pub routes: Vec<Route>,
    /// The last thing that happened to its versions.
    pub last: Option<Change>,
}

/// What a plugin did on a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The route; `None` for events.
    pub route: Option<i32>,
    /// Requests.
    pub requests: u64,
    /// Those among them that were answered with errors.
    pub errors: u64,
    /// Those among them that failed by a fault.
    pub faults: u64,
    /// Half of them took at most so long.
    pub p50_us: Option<u64>,
    /// 99 % of them took at most so long.
    pub p99_us: Option<u64>,
}

/// A file in the folder of plugins that the server does not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFile {
    /// The plugin that it was to be.
    pub name: String,
    /// When it was refused.
    pub at_ms: u64,
    /// Why, and what to do.
    pub why: String,
}

/// Code was exchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swapped {
    /// The plugin.
    pub name: String,
    /// The version before; `None` if there was none.
    pub from: Option<Version>,
    /// The version now.
    pub to: Version,
    /// What became of the state: `none`, `kept`, `earlier`, `lost`.
    pub state: String,
    /// Bytes of state that were saved.
    pub state_bytes: u64,
    /// How long saving took.
    pub save_us: u64,
    /// How long restoring took.
    pub restore_us: u64,
    /// How long nothing was handled.
    pub pause_us: u64,
    /// What is worth knowing besides.
    pub notes: Vec<String>,
}

/// Something that happened to the versions of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at_ms: u64,
    /// Which version came, or was to.
    #[serde(flatten)]
    pub version: Version,
    /// What happened: `served`, `swapped`, `refused`, `rolled back`, `taken back`.
    pub what: String,
    /// Why, or what there is to say about it; may be empty.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_called_what_it_says() {
        let verbs = [
            Verb::List {},
            Verb::Swap { name: "a".into(), file: Some("b.wasm".into()), force: true },
            Verb::RollBack { name: "a".into(), hash: Some("0f".into()) },
            Verb::Log { name: "a".into() },
        ];
        assert_eq!(verbs.each_ref().map(Verb::name), Verb::NAMES);
        for verb in verbs {
            let json = serde_json::to_value(&verb).unwrap();
            assert_eq!(json["verb"], verb.name());
            assert_eq!(serde_json::from_value::<Verb>(json).unwrap(), verb);
        }
    }
}
