//! A listening tcp socket, and why there is none.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 4096;
/// Bytes that the kernel keeps of what it cannot send yet.
const UNSENT_BYTES: u32 = 256 << 10;
/// First and longest pause after accepting failed, for example for lack of file descriptors.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}{hint}")]
pub struct BindError {
    address: SocketAddr,
    // Part of the message, and therefore not its source: a chain of errors would say it twice.
    cause: io::Error,
    hint: String,
}

impl BindError {
    /// Whether somebody else has the port.
    pub fn is_in_use(&self) -> bool {
        self.cause.kind() == io::ErrorKind::AddrInUse
    }

    /// With advice about the cause.
    pub(crate) fn new(address: SocketAddr, cause: io::Error, transport: Transport) -> Self {
        let hint = match cause.kind() {
            io::ErrorKind::AddrInUse => in_use(address.port(), transport),
            io::ErrorKind::PermissionDenied if address.port() < 1024 => {
                "; ports below 1024 need the capability CAP_NET_BIND_SERVICE".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address".to_owned(),
            _ => String::new(),
        };
        Self { address, cause, hint }
    }
}

/// Whose ports: those of tcp and udp have nothing to do with each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    pause: Duration,
}

impl Listener {
    /// Listens on an address. `[::]` takes clients of IPv4 as well, unless it is `v6_only`.
    ///
    /// # Errors
    /// [`BindError`]; if the port is in use, it names the process that holds it where that can be found out.
    pub fn bind(address: SocketAddr, v6_only: bool) -> Result<Self, BindError> {
        let open = || {
            let socket = bound(address, v6_only, Type::STREAM, Protocol::TCP)?;
            socket.listen(BACKLOG)?;
            TcpListener::from_std(socket.into())
        };
        match open() {
            Ok(socket) => Ok(Self { socket, pause: PAUSE.0 }),
            Err(cause) => Err(BindError::new(address, cause, Transport::Tcp)),
        }
    }

    /// The address, with the port that it really got.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next connection, and whose it is. Goes on after every error, more slowly after several in a row. Safe to drop while it waits.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    self.pause = PAUSE.0;
                    // Batches are written as a whole; waiting for more would only add latency. And the kernel would keep megabytes for
                    // a client that does not read: what it cannot send yet waits with us, where it is counted.
                    let socket = SockRef::from(&stream);
                    if socket.set_tcp_nodelay(true).is_ok() && socket.set_tcp_notsent_lowat(UNSENT_BYTES).is_ok() {
                        return (stream, canonical(peer));
                    }
                }
                Err(error) => {
                    tracing::warn!(pause = ?self.pause, "accepting a connection failed: {error}");
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSE.1);
                }
            }
        }
    }
}

/// A socket with an address. What is written as IPv6 and is IPv4 (`::ffff:192.0.2.7`) is IPv4.
pub(crate) fn bound(address: SocketAddr, v6_only: bool, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let address = canonical(address);
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // Set in both cases: the default is up to the operating system.
        socket.set_only_v6(v6_only)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// An address in its own family: IPv4 clients have IPv6 addresses at a socket that takes both.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        // As it was, with its scope.
        IpAddr::V6(_) => address,
    }
}

/// Who holds a port, as far as `/proc` shows it.
fn in_use(port: u16, transport: Transport) -> String {
    match holder(port, transport) {
        Some((pid, _)) if pid == std::process::id() => "; another listener of this server has the port".to_owned(),
        Some((pid, name)) => format!("; process {pid} (`{name}`) holds the port: stop it, or choose another address"),
        None => {
            let letter = match transport {
                Transport::Tcp => 't',
                Transport::Udp => 'u',
            };
            format!("; find who holds it with `ss -ln{letter}p 'sport = :{port}'`, or choose another address")
        }
    }
}

fn holder(port: u16, transport: Transport) -> Option<(u32, String)> {
    // The state of a socket that listens: a udp socket has no other than "closed".
    let (tables, state) = match transport {
        Transport::Tcp => (["/proc/net/tcp", "/proc/net/tcp6"], "0A"),
        Transport::Udp => (["/proc/net/udp", "/proc/net/udp6"], "07"),
    };
    let inode = tables.iter().find_map(|table| bound_inode(&std::fs::read_to_string(table).ok()?, port, state))?;
    let link = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        if files.flatten().any(|f| std::fs::read_link(f.path()).is_ok_and(|l| l.as_os_str() == link.as_str())) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

/// The inode of a socket in a table of `/proc/net`, by its port and state.
fn bound_inode(table: &str, port: u16, state: &str) -> Option<String> {
    let wanted = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&wanted) && *fields.get(3)? == state;
        listens.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("address")
    }

    #[tokio::test]
    async fn a_port_that_this_process_holds_itself_is_said_to_be_its_own() {
        let first = Listener::bind(address("127.0.0.1:0"), false).expect("free port");
        let error = Listener::bind(first.local_addr().expect("bound"), false).expect_err("taken");
        assert!(error.is_in_use() && error.to_string().contains("another listener of this server"), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused_with_its_reason() {
        let error = Listener::bind(address("192.0.2.1:1"), false).expect_err("not ours");
        assert!(!error.is_in_use() && error.to_string().contains("no interface of this machine"), "{error}");
    }

    #[tokio::test]
    async fn both_families_can_have_the_same_port() {
        let v4 = Listener::bind(address("0.0.0.0:0"), false).expect("free port");
        let port = v4.local_addr().expect("bound").port();
        let both = SocketAddr::new(address("[::]:0").ip(), port);
        assert!(Listener::bind(both, false).expect_err("it would take IPv4 as well").is_in_use());
        Listener::bind(both, true).expect("IPv6 alone");
    }

    #[tokio::test]
    async fn a_client_of_ipv4_has_an_address_of_ipv4_at_a_socket_for_both() {
        let mut listener = Listener::bind(address("[::]:0"), false).expect("free port");
        let port = listener.local_addr().expect("bound").port();
        for ip in ["127.0.0.1", "::1"] {
            let ip: IpAddr = ip.parse().expect("address");
            let client = TcpStream::connect((ip, port)).await.expect("connected");
            assert_eq!(listener.accept().await.1, client.local_addr().expect("connected"));
        }
    }

    #[tokio::test]
    async fn an_address_of_ipv4_may_be_written_as_one_of_ipv6() {
        let listener = Listener::bind(address("[::ffff:127.0.0.1]:0"), true).expect("free port");
        assert!(listener.local_addr().expect("bound").is_ipv4());
    }
}
