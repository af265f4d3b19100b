//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A game server whose game is made of WebAssembly components.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts the server. Without a file: ws on 127.0.0.1:3553, tcp on 127.0.0.1:3554, plugins from `plugins/`.
    Run(RunArguments),
    /// Says whether a file would load as a plugin, and why not.
    Check(CheckArguments),
    /// Asks the server that runs here about its plugins, and has it replace them.
    Plugin(PluginArguments),
    /// Talks to a server: sends routes, prints replies and pushes.
    Client(ClientArguments),
    /// Measures a server under load; works against `due` servers too.
    Bench(BenchArguments),
    /// Compiles standard input to standard output under limits; the server runs this for each new plugin.
    #[command(hide = true)]
    Compile(CompileArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Settings; see duet.example.toml for all keys.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Serves the benchmark's echo, linked into this binary, on its route, with the options of `[plugin.echo]`: shows what the sandbox
    /// costs.
    #[arg(long, hide = true)]
    pub(crate) native_echo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The plugin.
    pub(crate) file: PathBuf,
    /// Settings with the limits to check against.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PluginArguments {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
    /// Prints the answer as a line of JSON, also if it is a refusal.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The control socket of the server; without it, the one that the settings name.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) control: Option<PathBuf>,
    /// The settings of the server.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Which version of which plugin serves, and how it does; and which files are refused, and why.
    List,
    /// Replaces a plugin while it serves; nobody is disconnected.
    Swap {
        /// The plugin.
        name: String,
        /// Its new version; without it, NAME.wasm in the folder of plugins.
        file: Option<PathBuf>,
        /// Also if routes go away that were called within the last hour, or the state cannot be kept.
        #[arg(long)]
        force: bool,
    },
    /// Goes back to a version that served before.
    Rollback {
        /// The plugin.
        name: String,
        /// What the hash of that version begins with; without it, the version before the one that serves.
        hash: Option<String>,
    },
    /// What happened to the versions of a plugin, and why.
    Log {
        /// The plugin.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CompileArguments {
    #[arg(long)]
    pub(crate) seconds: u64,
    #[arg(long)]
    pub(crate) memory_bytes: u64,
}

/// What both ends of a connection have to agree on.
#[derive(Debug, Args)]
pub(crate) struct FormatArguments {
    /// Wire format.
    #[arg(long, value_enum, default_value = "due2")]
    pub(crate) profile: ProfileName,
    #[arg(long, value_enum, default_value = "big")]
    pub(crate) byte_order: ByteOrderName,
    /// 1, 2 or 4.
    #[arg(long, default_value_t = 2)]
    pub(crate) route_bytes: u8,
    /// 0, 1, 2 or 4.
    #[arg(long, default_value_t = 2)]
    pub(crate) seq_bytes: u8,
    /// Largest body in bytes.
    #[arg(long, default_value_t = 65_536)]
    pub(crate) body_bytes_max: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProfileName {
    Due2,
    Seed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ByteOrderName {
    Big,
    Little,
}

#[derive(Debug, Args)]
pub(crate) struct ClientArguments {
    /// tcp://HOST:PORT, ws://HOST:PORT/PATH, kcp://HOST:PORT, or tls:// and wss:// for the first two inside of TLS.
    #[arg(default_value = "tcp://127.0.0.1:3554")]
    pub(crate) endpoint: String,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
    /// Certificates to trust with tls and wss, in PEM; without it, those that browsers trust.
    #[arg(long, value_name = "FILE", conflicts_with = "accept_any_certificate")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Accepts any certificate. Whoever is on the way can read and change everything: for tests only.
    #[arg(long)]
    pub(crate) accept_any_certificate: bool,
    /// Where the server takes questions about sessions.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "ROUTE")]
    pub(crate) session_route: i32,
    /// Goes on with the session that this token is for, as another run of `duet client` wrote it down.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) resume: Option<String>,
    /// How many packets of that session were received already.
    #[arg(long, value_name = "COUNT", default_value_t = 0, requires = "resume")]
    pub(crate) received: u64,
    /// Sends one message on this route and waits for its reply; without it, lines are read from the terminal: `ROUTE [SEQ] BODY`, `session`
    /// for a token, `resume` to go on with that session on another connection.
    #[arg(long, value_name = "ROUTE", allow_negative_numbers = true)]
    pub(crate) send: Option<i32>,
    /// Body of that message: text, hex:BYTES, @FILE, or text:TEXT for a text that begins like one of these.
    #[arg(long, default_value = "", requires = "send", allow_hyphen_values = true)]
    pub(crate) body: String,
    /// Sequence number of that message; the next free one if not given. With 0 no answer is expected.
    #[arg(long, requires = "send", allow_negative_numbers = true)]
    pub(crate) seq: Option<i32>,
    /// Milliseconds to wait: for the reply, then for pushes. A reply that is not there by then is an error.
    #[arg(long, default_value_t = 1000)]
    pub(crate) wait: u64,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// tcp://HOST:PORT, ws://HOST:PORT/PATH or kcp://HOST:PORT
    #[arg(default_value = "tcp://127.0.0.1:3554")]
    pub(crate) endpoint: String,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
    #[command(flatten)]
    pub(crate) load: LoadKind,
    /// Connections that are open; with --connect, those that are under way at a time.
    #[arg(long, default_value_t = 50)]
    pub(crate) connections: usize,
    /// Requests that each connection keeps outstanding, 1 is a closed loop; with --broadcast, broadcasts that are under way, at most 32.
    #[arg(long, default_value_t = 64)]
    pub(crate) window: usize,
    /// Letters of the message in the body {"message":"..."}, or of the text that is broadcast.
    #[arg(long, default_value_t = 1024)]
    pub(crate) letters: usize,
    /// Sends this text as the body instead.
    #[arg(long)]
    pub(crate) body: Option<String>,
    /// Seconds to measure, after a fifth of that to warm up.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) route: i32,
    /// Percent of the datagrams that get lost, in both directions; kcp only.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) loss: f64,
    /// Which datagrams those are.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(crate) loss_seed: u64,
    /// The server's process, whose memory and processor time --idle reports.
    #[arg(long, value_name = "PID", requires = "idle")]
    pub(crate) process: Option<u32>,
    /// Prints one line of key=value instead of a table.
    #[arg(long)]
    pub(crate) line: bool,
}

/// What a benchmark does, if it is not requests that are answered.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct LoadKind {
    /// One connection asks for broadcasts, all count what arrives. The server needs routes for it: 7 joins {"channel":..}, 9 publishes
    /// {"channel":..,"text":..} on 103, 6 broadcasts {"text":..} on 102.
    #[arg(long, value_enum, value_name = "TO")]
    pub(crate) broadcast: Option<AudienceName>,
    /// Opens connections over and over; each asks once, and is closed after the answer.
    #[arg(long)]
    pub(crate) connect: bool,
    /// Opens the connections and holds them with nothing but heartbeats.
    #[arg(long)]
    pub(crate) idle: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AudienceName {
    /// The members of a channel.
    Channel,
    /// Every connection.
    All,
}
