//! Who is measured: the bare echo, the server with the same handler in three forms, and due.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use super::due::{self, Due};
use super::server::Server;
use crate::guests;
use crate::npm;
use crate::place::Place;

/// The layout of due's own load test. The echoes keep no state, so each worker has one. More connections than any load opens.
const SETTINGS: &str = "\
drain_timeout = \"1s\"

[log]
level = \"warn\"

[codec]
route_bytes = 4
seq_bytes = 4

[gateway]
connections_max = 100000
";

const LISTENERS: &str = "
[[listener]]
protocol = \"tcp\"
address = \"127.0.0.1:0\"

[[listener]]
protocol = \"ws\"
address = \"127.0.0.1:0\"

[[listener]]
protocol = \"kcp\"
address = \"127.0.0.1:0\"

[plugin.echo]
instances = \"workers\"

[plugin.echo-ts]
instances = \"workers\"
";

/// Every limit is on, and none is reached: this machine is not exempt. Last in `[gateway]`, then what follows it.
const LIMITS: &str = "\
authorize_timeout = \"10m\"

[limits]
exempt = []
connections_per_address = 10000000
connections_per_second = 1000000
connections_burst = 1000000
messages_per_second = 1000000
messages_burst = 1000000
bytes_per_second = \"1GiB\"
bytes_burst = \"1GiB\"

[[route]]
route = 1
body_bytes_max = \"64KiB\"
";

/// A server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// Sends back what it reads; the floor.
    Bare,
    /// due's gate and node.
    Due,
    /// The handler linked into the server.
    Native,
    /// The same handler as a component.
    Wasm,
    /// The same with every limit on.
    Limited,
    /// A handler in TypeScript.
    Script,
}

/// What a server has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// To send back.
    Echo,
    /// To let clients join channels and to publish.
    Lobby,
}

impl Peer {
    /// All, in the order of the table.
    pub(super) const ALL: [Self; 6] = [Self::Bare, Self::Due, Self::Native, Self::Wasm, Self::Limited, Self::Script];

    /// The route of its echo.
    pub(super) const fn route(self) -> &'static str {
        match self {
            Self::Script => "11",
            _ => "1",
        }
    }

    const fn folder(self, stage: Stage) -> &'static str {
        match (self, stage) {
            (Self::Bare, _) => "bare",
            (Self::Due, _) => "due",
            (_, Stage::Lobby) => "lobby",
            (Self::Native, Stage::Echo) => "native",
            (Self::Wasm, Stage::Echo) => "wasm",
            (Self::Limited, Stage::Echo) => "limited",
            (Self::Script, Stage::Echo) => "script",
        }
    }

    /// What this server is told, if it is ours.
    fn settings(self) -> Option<String> {
        match self {
            Self::Bare | Self::Due => None,
            Self::Limited => Some([SETTINGS, LIMITS, LISTENERS].concat()),
            Self::Native | Self::Wasm | Self::Script => Some([SETTINGS, LISTENERS].concat()),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bare => "bare echo",
            Self::Due => "due",
            Self::Native => "native",
            Self::Wasm => "wasm",
            Self::Limited => "wasm, limits on",
            Self::Script => "wasm, TypeScript",
        })
    }
}

/// The servers of a run, ready to be started.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    place: &'a Place,
    peers: Vec<Peer>,
    due: Option<Due>,
}

impl<'a> Bench<'a> {
    /// Fills a plugin folder for each peer and compiles the plugins into the cache, so that nothing compiles while it is measured.
    pub(super) fn prepare(place: &'a Place) -> anyhow::Result<Self> {
        let mut bench = Self { place, peers: vec![Peer::Bare, Peer::Native, Peer::Wasm, Peer::Limited], due: None };
        let guests = guests::build(place, &[place.plugins(), place.fixtures()])?;
        let guest = |name: &str| guests.iter().find(|g| g.name == name).with_context(|| format!("there is no plugin {name}"));
        for (peer, stage, name) in
            [(Peer::Wasm, Stage::Echo, "echo"), (Peer::Limited, Stage::Echo, "echo"), (Peer::Wasm, Stage::Lobby, "lobby")]
        {
            guests::put(place, &guest(name)?.component, &bench.folder(peer, stage).join("plugins"), name)?;
        }
        match script(place) {
            Some(component) => {
                guests::put(place, &component, &bench.folder(Peer::Script, Stage::Echo).join("plugins"), "echo-ts")?;
                bench.peers.push(Peer::Script);
            }
            None => println!("SKIPPED the plugin in TypeScript: `cargo xtask plugins` has not built it"),
        }
        match due::build(place) {
            Ok(due) => {
                bench.due = Some(due);
                bench.peers.push(Peer::Due);
            }
            Err(why) => println!("SKIPPED due: {why:#}"),
        }
        for peer in bench.peers.clone() {
            bench.settle(peer, Stage::Echo)?;
        }
        bench.settle(Peer::Wasm, Stage::Lobby)?;
        Ok(bench)
    }

    /// Writes the settings of a server of ours and lets it compile its plugins.
    fn settle(&self, peer: Peer, stage: Stage) -> anyhow::Result<()> {
        let Some(settings) = peer.settings() else { return Ok(()) };
        let folder = self.folder(peer, stage);
        fs::create_dir_all(folder.join("plugins")).with_context(|| format!("making {}", folder.display()))?;
        fs::write(folder.join("duet.toml"), settings).with_context(|| format!("writing into {}", folder.display()))?;
        self.start(peer, stage, "tcp")?.need_no_refusal()
    }

    /// Those of a list that are available, in the order of the table.
    pub(super) fn those_of(&self, wanted: &'static [Peer]) -> impl Iterator<Item = Peer> {
        Peer::ALL.into_iter().filter(|peer| wanted.contains(peer) && self.peers.contains(peer))
    }

    /// The server program, release build.
    pub(super) fn program(&self) -> PathBuf {
        self.place.server("release")
    }

    /// A folder for what comes from measuring.
    pub(super) fn folder(&self, peer: Peer, stage: Stage) -> PathBuf {
        self.place.target.join("bench").join(peer.folder(stage))
    }

    /// Starts a server and waits until it listens.
    pub(super) fn start(&self, peer: Peer, stage: Stage, scheme: &str) -> anyhow::Result<Server> {
        match peer {
            Peer::Bare => Server::bare(&self.place.example("release", "bare-echo"), scheme),
            Peer::Due => Server::due(self.due.as_ref().context("due was not built")?, scheme),
            Peer::Native => Server::duet(&self.program(), &self.folder(peer, stage), &["--native-echo"]),
            Peer::Wasm | Peer::Limited | Peer::Script => Server::duet(&self.program(), &self.folder(peer, stage), &[]),
        }
    }
}

/// The component of the plugin in TypeScript, if it was built.
fn script(place: &Place) -> Option<PathBuf> {
    let built = npm::component(&place.plugins().join("echo-ts"));
    built.is_file().then_some(built)
}
