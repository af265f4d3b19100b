//! What `duet run` prints when it is ready.

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::time::Duration;

use duet_client::Shown;
use duet_gateway::{ListenerOptions, Protocol};

use crate::certificates;
use crate::drop_folder::Folder;

/// Everything an operator wants to see at a glance.
pub(crate) struct Banner<'a> {
    pub(crate) listeners: &'a [ListenerOptions],
    pub(crate) addresses: &'a [SocketAddr],
    pub(crate) folder: &'a Folder,
    pub(crate) workers: usize,
    pub(crate) io_threads: usize,
    pub(crate) time: Duration,
}

impl Display for Banner<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "duet {}", env!("CARGO_PKG_VERSION"))?;
        for (listener, address) in self.listeners.iter().zip(self.addresses) {
            let format = &listener.format;
            let profile = match format.profile() {
                duet_codec::Profile::Due2 => "due2",
                duet_codec::Profile::Seed => "seed",
            };
            let url = url(listener, *address);
            let order = match format.byte_order() {
                duet_codec::ByteOrder::Big => "big endian",
                duet_codec::ByteOrder::Little => "little endian",
            };
            write!(f, "listening  {url}  {profile}, {order}, route {} bytes, seq {} bytes", format.route_bytes(), format.seq_bytes())?;
            match listener.tls.as_deref().and_then(certificates::days_left) {
                Some(days) => writeln!(f, ", certificate for {days} days")?,
                None => writeln!(f)?,
            }
        }
        for plugin in &self.folder.served {
            let from = if plugin.cached { "from the cache" } else { "compiled" };
            let routes: Vec<String> = plugin.routes.iter().map(ToString::to_string).collect();
            let (name, version) = (Shown(&plugin.name), Shown(&plugin.version));
            writeln!(f, "plugin     {name} {version}  routes {}  ({from}, {})", routes.join(" "), Time(plugin.time))?;
        }
        for file in &self.folder.pending {
            writeln!(f, "compiling  {}", Shown(&file.to_string_lossy()))?;
        }
        if self.folder.refused > 0 {
            writeln!(f, "refused    {} (the log says why)", files(self.folder.refused))?;
        }
        write!(f, "ready in {} with {} workers and {} I/O threads", Time(self.time), self.workers, self.io_threads)
    }
}

/// What a client connects to.
pub(crate) fn url(listener: &ListenerOptions, address: SocketAddr) -> String {
    match (&listener.protocol, &listener.tls) {
        (Protocol::Tcp, None) => format!("tcp://{address}"),
        (Protocol::Tcp, Some(_)) => format!("tls://{address}"),
        (Protocol::Ws(ws), None) => format!("ws://{address}{}", ws.path),
        (Protocol::Ws(ws), Some(_)) => format!("wss://{address}{}", ws.path),
        (Protocol::Kcp(_), _) => format!("kcp://{address}"),
    }
}

struct Time(Duration);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            t if t < Duration::from_secs(10) => write!(f, "{:.1} ms", t.as_secs_f64() * 1000.0),
            t => write!(f, "{:.1} s", t.as_secs_f64()),
        }
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}
