//! Who is measured: the bare echo, and the server with the same handler in three forms.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use super::server::Server;
use crate::guests;
use crate::npm;
use crate::place::Place;

/// The layout of due's own load test. The echoes keep no state, so each worker has one.
const SETTINGS: &str = "\
drain_timeout = \"1s\"

[log]
level = \"warn\"

[codec]
route_bytes = 4
seq_bytes = 4

[[listener]]
protocol = \"tcp\"
address = \"127.0.0.1:0\"

[[listener]]
protocol = \"ws\"
address = \"127.0.0.1:0\"

[plugin.echo]
instances = \"workers\"

[plugin.echo-ts]
instances = \"workers\"
";

/// A server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// Sends back what it reads; the floor.
    Bare,
    /// The handler linked into the server.
    Native,
    /// The same handler as a component.
    Wasm,
    /// A handler in TypeScript.
    Script,
}

impl Peer {
    /// All, in the order of the table.
    pub(super) const ALL: [Self; 4] = [Self::Bare, Self::Native, Self::Wasm, Self::Script];

    /// The route of its echo.
    pub(super) const fn route(self) -> &'static str {
        match self {
            Self::Script => "11",
            _ => "1",
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Native => "native",
            Self::Wasm => "wasm",
            Self::Script => "script",
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bare => "bare echo",
            Self::Native => "native",
            Self::Wasm => "echo.wasm",
            Self::Script => "echo-ts.wasm",
        })
    }
}

/// The servers of a run, ready to be started.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    place: &'a Place,
    peers: Vec<Peer>,
}

impl<'a> Bench<'a> {
    /// Fills a plugin folder for each peer and compiles the plugins into the cache, so that nothing compiles while it is measured.
    pub(super) fn prepare(place: &'a Place) -> anyhow::Result<Self> {
        let mut bench = Self { place, peers: vec![Peer::Bare, Peer::Native, Peer::Wasm] };
        let echo = guests::build(place, &[place.plugins()])?.into_iter().find(|g| g.name == "echo").context("there is no plugin echo")?;
        guests::put(place, &echo.component, &bench.folder(Peer::Wasm).join("plugins"), "echo")?;
        match script(place) {
            Some(component) => {
                guests::put(place, &component, &bench.folder(Peer::Script).join("plugins"), "echo-ts")?;
                bench.peers.push(Peer::Script);
            }
            None => println!("SKIPPED the plugin in TypeScript: `cargo xtask plugins` has not built it"),
        }
        for peer in bench.peers.iter().filter(|p| **p != Peer::Bare) {
            let folder = bench.folder(*peer);
            fs::create_dir_all(folder.join("plugins")).with_context(|| format!("making {}", folder.display()))?;
            fs::write(folder.join("duet.toml"), SETTINGS).with_context(|| format!("writing into {}", folder.display()))?;
            bench.start(*peer)?.need_no_refusal()?;
        }
        Ok(bench)
    }

    /// Who is there.
    pub(super) fn peers(&self) -> impl Iterator<Item = Peer> {
        self.peers.iter().copied()
    }

    /// The server program, release build.
    pub(super) fn program(&self) -> PathBuf {
        self.place.server("release")
    }

    /// A folder for what comes from measuring.
    pub(super) fn folder(&self, peer: Peer) -> PathBuf {
        self.place.target.join("bench").join(peer.folder())
    }

    /// Starts a server and waits until it listens on tcp and ws.
    pub(super) fn start(&self, peer: Peer) -> anyhow::Result<Server> {
        match peer {
            Peer::Bare => Server::bare(self),
            Peer::Native => Server::duet(self, peer, &["--native-echo"]),
            Peer::Wasm | Peer::Script => Server::duet(self, peer, &[]),
        }
    }
}

/// The component of the plugin in TypeScript, if it was built.
fn script(place: &Place) -> Option<PathBuf> {
    let built = npm::component(&place.plugins().join("echo-ts"));
    built.is_file().then_some(built)
}
