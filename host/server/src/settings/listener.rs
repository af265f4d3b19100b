//! `[[listener]]`: where clients connect, each with its own profile.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use duet_config::{Field, Place, Report, Table, boolean, choice, list, socket_addr, string};
use duet_transport::Origins;

use super::codec::{self, ByteOrder, CodecSettings};
use super::gateway::{self, GatewaySettings, Heartbeat};
use super::kcp::KcpSettings;
use super::route::in_line;
use super::session::SessionSettings;

/// The longest path of a WebSocket listener, in bytes.
const PATH_BYTES_MAX: usize = 256;
/// Most subprotocols of a WebSocket listener: a handshake looks at them one by one. A name may be as long as a path.
const SUBPROTOCOLS_MAX: usize = 64;

/// One address where clients connect. What a listener does not say itself is filled in from `[codec]` and `[gateway]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenerSettings {
    /// What carries the packets. Has no default.
    pub(crate) protocol: Protocol,
    /// Address and port. Has no default. Port 0: the system picks one. `[::]` takes clients of IPv4 as well, unless another listener
    /// has the same port on an address of IPv4.
    pub(crate) address: SocketAddr,
    /// The dialect of the clients. Default `due2`.
    pub(crate) profile: Profile,
    /// ws only: the path of the upgrade request; other paths are refused. Default `/`.
    pub(crate) path: String,
    /// ws only: the web pages that may connect: `["same-host"]`, `["*"]` for all, or a list of origins such as
    /// `"https://game.example"` or `"null"`; an empty list for none. Others are refused with 403. Clients that are no browsers may
    /// always. Default `["same-host"]`: pages of the host that the request goes to.
    pub(crate) origins: Origins,
    /// ws only: what may be agreed on as `Sec-WebSocket-Protocol`, up to 64: the first that the client offers and that is in here.
    /// A client that offers none of them gets none; a browser that asked for one then closes. Default none.
    pub(crate) subprotocols: Vec<String>,
    /// tcp and ws: the certificate for TLS. Default none: no TLS.
    pub(crate) tls: Option<TlsSettings>,
    /// tcp and ws: whether peers in `limits.trusted_proxies`, which must not be empty then, begin with a PROXY protocol header
    /// (v1 or v2). One that does not is closed. Default false.
    pub(crate) proxy_protocol: bool,
    /// `[listener.kcp]`, kcp only: how its sessions behave.
    pub(crate) kcp: KcpSettings,
    /// As in `[codec]`.
    pub(crate) byte_order: ByteOrder,
    /// As in `[codec]`.
    pub(crate) route_bytes: u8,
    /// As in `[codec]`.
    pub(crate) seq_bytes: u8,
    /// As in `[gateway]`.
    pub(crate) authorize_timeout: Duration,
    /// As in `[gateway]`.
    pub(crate) heartbeat: Heartbeat,
    /// As in `[gateway]`.
    pub(crate) heartbeat_interval: Duration,
    /// As in `[gateway]`, but a `seed` listener sends the time unless it says false itself: its clients expect it.
    pub(crate) heartbeat_time: bool,
    /// As in `[gateway]`.
    pub(crate) error_packets: bool,
    /// As in `[gateway]`. A session can be resumed on the listener it came from.
    pub(crate) sessions: SessionSettings,
}

/// The files of a certificate, read at start, on SIGHUP and when they change. Relative to the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// `tls_cert`: the chain in PEM, the server's own certificate first.
    pub(crate) certificate: PathBuf,
    /// `tls_key`: its private key in PEM, without a password.
    pub(crate) key: PathBuf,
}

/// What carries the packets of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Packets one after the other on a TCP stream.
    Tcp,
    /// One packet for each binary WebSocket message.
    Ws,
    /// Packets one after the other on a KCP stream over UDP. It cannot be encrypted.
    Kcp,
}

/// The dialect of the clients of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// due v2.1 and later: a size in front of every packet, heartbeat time in nanoseconds.
    Due2,
    /// The first published format: no size on ws, heartbeat time in milliseconds.
    Seed,
}

/// The listeners of a file without any: ws on port 3553 and tcp on port 3554, loopback only.
pub(super) fn defaults(codec: &CodecSettings, gateway: &GatewaySettings) -> Vec<ListenerSettings> {
    let on = |protocol, port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        ListenerSettings::new(protocol, address, Profile::Due2, codec, gateway)
    };
    vec![on(Protocol::Ws, 3553), on(Protocol::Tcp, 3554)]
}

/// Reads all listeners and checks that no two of them want the same address. `trusts` says whether there are trusted proxies.
pub(super) fn read_all(
    root: &mut Table<'_>,
    codec: &CodecSettings,
    gateway: &GatewaySettings,
    trusts: bool,
    report: &Report,
) -> Vec<ListenerSettings> {
    let Some(tables) = root.tables("listener") else {
        return defaults(codec, gateway);
    };
    if tables.is_empty() {
        root.mistake("listener", "allowed is at least one table, or no such key for the defaults");
    }
    let mut listeners = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    for table in tables {
        let place = table.place("address");
        let Some(listener) = ListenerSettings::read(table, codec, gateway, trusts) else {
            continue;
        };
        if let Some((_, first)) = listeners.iter().zip(&places).find(|(other, _)| collide(other, &listener)) {
            report.mistake(place.clone(), format!("taken by {}: allowed is one listener for each address", in_line(first)));
        }
        places.push(place);
        listeners.push(listener);
    }
    listeners
}

impl ListenerSettings {
    /// A listener that says nothing but this itself.
    pub(crate) fn new(
        protocol: Protocol,
        address: SocketAddr,
        profile: Profile,
        codec: &CodecSettings,
        gateway: &GatewaySettings,
    ) -> ListenerSettings {
        ListenerSettings {
            protocol,
            address,
            profile,
            path: "/".into(),
            origins: Origins::SameHost,
            subprotocols: Vec::new(),
            tls: None,
            proxy_protocol: false,
            kcp: KcpSettings::default(),
            byte_order: codec.byte_order,
            route_bytes: codec.route_bytes,
            seq_bytes: codec.seq_bytes,
            authorize_timeout: gateway.authorize_timeout,
            heartbeat: gateway.heartbeat,
            heartbeat_interval: gateway.heartbeat_interval,
            heartbeat_time: gateway.heartbeat_time || profile == Profile::Seed,
            error_packets: gateway.error_packets,
            sessions: gateway.sessions.clone(),
        }
    }

    /// `None` if there is no usable protocol or address.
    fn read(mut table: Table<'_>, codec: &CodecSettings, gateway: &GatewaySettings, trusts: bool) -> Option<ListenerSettings> {
        let protocol = table.get("protocol", &choice(&[("tcp", Protocol::Tcp), ("ws", Protocol::Ws), ("kcp", Protocol::Kcp)])).required();
        let address = table.get("address", &socket_addr()).required();
        let profile = table.get("profile", &choice(&[("due2", Profile::Due2), ("seed", Profile::Seed)])).or(Profile::Due2);

        // The rest is read whatever these two are, so that its mistakes are found as well.
        let (protocol_read, address_read) = (protocol.unwrap_or(Protocol::Ws), address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into()));
        let default = ListenerSettings::new(protocol_read, address_read, profile, codec, gateway);
        let listener = ListenerSettings {
            path: path(&mut table, protocol).unwrap_or(default.path),
            origins: origins(&mut table, protocol).unwrap_or(default.origins),
            subprotocols: subprotocols(&mut table, protocol).unwrap_or(default.subprotocols),
            tls: tls(&mut table, protocol),
            proxy_protocol: proxy_protocol(&mut table, protocol, trusts).or(default.proxy_protocol),
            kcp: kcp(&mut table, protocol),
            byte_order: codec::byte_order(&mut table).or(default.byte_order),
            route_bytes: codec::route_bytes(&mut table).or(default.route_bytes),
            seq_bytes: codec::seq_bytes(&mut table).or(default.seq_bytes),
            authorize_timeout: gateway::authorize_timeout(&mut table).or(default.authorize_timeout),
            heartbeat: gateway::heartbeat(&mut table).or(default.heartbeat),
            heartbeat_interval: gateway::heartbeat_interval(&mut table).or(default.heartbeat_interval),
            heartbeat_time: table.get("heartbeat_time", &boolean()).or(default.heartbeat_time),
            error_packets: table.get("error_packets", &boolean()).or(default.error_packets),
            sessions: SessionSettings::read(&mut table, &default.sessions),
            ..default
        };
        listener.check(&table);
        table.finish();
        protocol.and(address).map(|_| listener)
    }

    /// Finds what is wrong together, be it from this table or from `[codec]` and `[gateway]`.
    fn check(&self, table: &Table<'_>) {
        let (route, bytes) = (self.sessions.session_route, self.route_bytes);
        let bits = u32::from(bytes) * 8 - 1;
        let routes = -(1_i64 << bits)..1_i64 << bits;
        if self.sessions.resume && !routes.contains(&i64::from(route)) {
            let (least, most) = (routes.start, routes.end - 1);
            table.mistake("session_route", format!("{route} is not allowed: allowed are {least} to {most} with route_bytes = {bytes}"));
        }
        if self.protocol == Protocol::Kcp && self.heartbeat_interval.is_zero() {
            let why = "clients of kcp leave without a goodbye and would be kept for ever";
            table.mistake("heartbeat_interval", format!("allowed are 10ms to 1h with protocol kcp: {why}"));
        }
    }
}

impl Protocol {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Ws => "ws",
            Protocol::Kcp => "kcp",
        }
    }
}

fn path(table: &mut Table<'_>, protocol: Option<Protocol>) -> Option<String> {
    let is_path = |path: &String| {
        let plain = |b: u8| b.is_ascii_graphic() && b != b'?' && b != b'#';
        path.starts_with('/') && path.len() <= PATH_BYTES_MAX && path.bytes().all(plain)
    };
    let allowed = "paths that start with / and have no spaces, ? and #, up to 256 bytes";
    only(&[Protocol::Ws], protocol, table.get("path", &string()).check(allowed, is_path)).optional()
}

fn origins(table: &mut Table<'_>, protocol: Option<Protocol>) -> Option<Origins> {
    let read = |text: &str| match text {
        "same-host" => Some(Origins::SameHost),
        "*" => Some(Origins::Any),
        text => text.parse().ok().map(|origin| Origins::List(vec![origin])),
    };
    let alone = |entries: &Vec<Origins>| entries.len() == 1 || entries.iter().all(|entry| matches!(entry, Origins::List(_)));
    let allowed = "[\"same-host\"], [\"*\"], or origins such as \"https://game.example\", \"http://localhost:8080\", \"null\"";
    let mut origins = Vec::new();
    for entry in
        only(&[Protocol::Ws], protocol, table.get("origins", &list(allowed, read, |_| String::new())).check(allowed, alone)).optional()?
    {
        match entry {
            Origins::List(one) => origins.extend(one),
            alone => return Some(alone),
        }
    }
    Some(Origins::List(origins))
}

/// Tokens as RFC 9110 has them.
fn subprotocols(table: &mut Table<'_>, protocol: Option<Protocol>) -> Option<Vec<String>> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let read = move |text: &str| (!text.is_empty() && text.len() <= PATH_BYTES_MAX && text.bytes().all(is_token)).then(|| text.to_owned());
    let allowed = "up to 64 names of letters, digits and !#$%&'*+-.^_`|~";
    let few = |names: &Vec<String>| names.len() <= SUBPROTOCOLS_MAX;
    only(&[Protocol::Ws], protocol, table.get("subprotocols", &list(allowed, read, String::clone)).check(allowed, few)).optional()
}

/// Both files or none.
fn tls(table: &mut Table<'_>, protocol: Option<Protocol>) -> Option<TlsSettings> {
    let mut file = |key| {
        let named = |name: &String| !name.trim().is_empty() && !name.contains('\0');
        only(&[Protocol::Tcp, Protocol::Ws], protocol, table.get(key, &string()).check("names of a file", named)).optional()
    };
    let files = (file("tls_cert"), file("tls_key"));
    match (table.has("tls_cert"), table.has("tls_key")) {
        (true, false) => table.mistake("tls_cert", "allowed is only together with tls_key"),
        (false, true) => table.mistake("tls_key", "allowed is only together with tls_cert"),
        _ => {}
    }
    let (Some(certificate), Some(key)) = files else { return None };
    Some(TlsSettings { certificate: certificate.into(), key: key.into() })
}

fn proxy_protocol<'d>(table: &mut Table<'d>, protocol: Option<Protocol>, trusts: bool) -> Field<'d, bool> {
    let field = table.get("proxy_protocol", &boolean()).check("false while limits.trusted_proxies is empty", |on| !on || trusts);
    only(&[Protocol::Tcp, Protocol::Ws], protocol, field)
}

fn kcp(table: &mut Table<'_>, protocol: Option<Protocol>) -> KcpSettings {
    let kcp = KcpSettings::read(table.table("kcp"));
    if let Some(protocol) = protocol.filter(|p| *p != Protocol::Kcp && table.has("kcp")) {
        table.mistake("kcp", format!("allowed is none with protocol {}", protocol.name()));
    }
    kcp
}

/// Refuses a key that says nothing to the protocol of its listener.
fn only<'d, T>(with: &[Protocol], protocol: Option<Protocol>, field: Field<'d, T>) -> Field<'d, T> {
    match protocol {
        Some(protocol) if !with.contains(&protocol) => field.check(format!("none with protocol {}", protocol.name()), |_| false),
        _ => field,
    }
}

/// Whether two listeners cannot both be opened: a wildcard address takes its port on all addresses of its family, and leaves the other
/// family to a listener that wants it. The ports of udp are others than those of tcp.
fn collide(a: &ListenerSettings, b: &ListenerSettings) -> bool {
    let wildcard = |ip: IpAddr| ip.is_unspecified();
    let udp = |listener: &ListenerSettings| listener.protocol == Protocol::Kcp;
    let (a_ip, b_ip) = (a.address.ip().to_canonical(), b.address.ip().to_canonical());
    let overlap = a_ip == b_ip || (a_ip.is_ipv4() == b_ip.is_ipv4() && (wildcard(a_ip) || wildcard(b_ip)));
    udp(a) == udp(b) && a.address.port() != 0 && a.address.port() == b.address.port() && overlap
}
