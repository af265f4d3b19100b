//! `[[listener]]`: where clients connect, each with its own profile.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use duet_config::{Place, Report, Table};

use super::codec::{self, ByteOrder, CodecSettings};
use super::gateway::{self, GatewaySettings, Heartbeat};

/// The longest path of a WebSocket listener, in bytes.
const PATH_BYTES_MAX: usize = 256;

/// One address where clients connect. What a listener does not say itself is filled in from `[codec]` and `[gateway]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenerSettings {
    /// What carries the packets. Has no default.
    pub(crate) protocol: Protocol,
    /// Address and port. Has no default. Port 0: the system picks one.
    pub(crate) address: SocketAddr,
    /// The dialect of the clients. Default `due2`.
    pub(crate) profile: Profile,
    /// ws only: the path of the upgrade request; other paths are refused. Default `/`.
    pub(crate) path: String,
    /// As in `[codec]`.
    pub(crate) byte_order: ByteOrder,
    /// As in `[codec]`.
    pub(crate) route_bytes: u8,
    /// As in `[codec]`.
    pub(crate) seq_bytes: u8,
    /// As in `[gateway]`.
    pub(crate) heartbeat: Heartbeat,
    /// As in `[gateway]`.
    pub(crate) heartbeat_interval: Duration,
    /// As in `[gateway]`, but a `seed` listener sends the time unless it says false itself: its clients expect it.
    pub(crate) heartbeat_time: bool,
    /// As in `[gateway]`.
    pub(crate) error_packets: bool,
}

/// What carries the packets of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Packets one after the other on a TCP stream.
    Tcp,
    /// One packet for each binary WebSocket message.
    Ws,
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

/// Reads all listeners and checks that no two of them want the same address.
pub(super) fn read_all(root: &mut Table<'_>, codec: &CodecSettings, gateway: &GatewaySettings, report: &Report) -> Vec<ListenerSettings> {
    let Some(tables) = root.tables("listener") else {
        return defaults(codec, gateway);
    };
    if tables.is_empty() {
        root.mistake("listener", "allowed is at least one table, or no such key for the defaults");
    }
    let mut listeners = Vec::new();
    let mut taken: Vec<(SocketAddr, Place)> = Vec::new();
    for table in tables {
        let place = table.place("address");
        let Some(listener) = ListenerSettings::read(table, codec, gateway) else {
            continue;
        };
        if let Some((_, first)) = taken.iter().find(|(address, _)| collide(*address, listener.address)) {
            let line = first.line.map(|line| format!(" in line {line}")).unwrap_or_default();
            report.mistake(place.clone(), format!("taken by {}{line}: allowed is one listener for each address", first.key));
        }
        taken.push((listener.address, place));
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
            byte_order: codec.byte_order,
            route_bytes: codec.route_bytes,
            seq_bytes: codec.seq_bytes,
            heartbeat: gateway.heartbeat,
            heartbeat_interval: gateway.heartbeat_interval,
            heartbeat_time: gateway.heartbeat_time || profile == Profile::Seed,
            error_packets: gateway.error_packets,
        }
    }

    /// `None` if there is no usable protocol or address.
    fn read(mut table: Table<'_>, codec: &CodecSettings, gateway: &GatewaySettings) -> Option<ListenerSettings> {
        let protocol = table.choice("protocol", &[("tcp", Protocol::Tcp), ("ws", Protocol::Ws)]).required();
        let address = table.socket_addr("address").required();
        let profiles = [("due2", Profile::Due2), ("seed", Profile::Seed)];
        let profile = table.choice("profile", &profiles).or(Profile::Due2);

        // The rest is read whatever these two are, so that its mistakes are found as well.
        let (protocol_read, address_read) = (protocol.unwrap_or(Protocol::Ws), address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into()));
        let default = ListenerSettings::new(protocol_read, address_read, profile, codec, gateway);
        let listener = ListenerSettings {
            path: read_path(&mut table, protocol).unwrap_or(default.path),
            byte_order: codec::byte_order(&mut table).or(default.byte_order),
            route_bytes: codec::route_bytes(&mut table).or(default.route_bytes),
            seq_bytes: codec::seq_bytes(&mut table).or(default.seq_bytes),
            heartbeat: gateway::heartbeat(&mut table).or(default.heartbeat),
            heartbeat_interval: gateway::heartbeat_interval(&mut table).or(default.heartbeat_interval),
            heartbeat_time: table.boolean("heartbeat_time").or(default.heartbeat_time),
            error_packets: table.boolean("error_packets").or(default.error_packets),
            ..default
        };
        table.finish();
        protocol.and(address).map(|_| listener)
    }
}

fn read_path(table: &mut Table<'_>, protocol: Option<Protocol>) -> Option<String> {
    let is_path = |path: &String| {
        let plain = |b: u8| b.is_ascii_graphic() && b != b'?' && b != b'#';
        path.starts_with('/') && path.len() <= PATH_BYTES_MAX && path.bytes().all(plain)
    };
    let allowed = "paths that start with / and have no spaces, ? and #, up to 256 bytes";
    let field = table.string("path").check(allowed, is_path);
    if protocol == Some(Protocol::Tcp) {
        return field.check("none with protocol tcp", |_| false).optional();
    }
    field.optional()
}

/// Whether two listeners cannot both be opened: a wildcard address takes its port on all addresses of its family.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let wildcard = |ip: IpAddr| ip.is_unspecified();
    let overlap = a.ip() == b.ip() || (a.is_ipv4() == b.is_ipv4() && (wildcard(a.ip()) || wildcard(b.ip())));
    a.port() != 0 && a.port() == b.port() && overlap
}
