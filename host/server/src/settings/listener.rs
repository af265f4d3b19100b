//! `[[listener]]`: where clients connect, each with its own profile.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use duet_codec::{CodecOptions, Profile};
use duet_config::{Kind, Place, Report, Setting, Settings as _, Table, boolean, choice, socket_addr, string};
use duet_transport::{KcpOptions, WsOptions};

use super::GateSettings;
use super::gate::ClientSettings;

/// One address where clients connect. What a listener does not say itself is filled in from `[codec]` and `[gateway]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListenerSettings {
    /// What carries the packets. Has no default.
    pub(crate) protocol: Protocol,
    /// Address and port. Has no default.
    pub(crate) address: SocketAddr,
    /// What it says of itself, whatever its protocol.
    pub(crate) own: OwnSettings,
    /// ws only: what is agreed to.
    pub(crate) ws: WsOptions,
    /// tcp and ws: the certificate for TLS. Default none: no TLS.
    pub(crate) tls: Option<TlsSettings>,
    /// tcp and ws: whether a proxy stands in front.
    pub(crate) proxy: ProxySettings,
    /// `[listener.kcp]`, kcp only: how its sessions behave.
    pub(crate) kcp: KcpOptions,
    /// As in `[codec]`.
    pub(crate) codec: CodecOptions,
    /// As in `[gateway]`, but a `seed` listener sends the time in heartbeats unless it says false itself.
    pub(crate) client: ClientSettings,
}

duet_config::settings! {
    /// What a listener says of itself, whatever its protocol.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct OwnSettings {
        /// The dialect of the clients: due v2.1 and later, or the format before it (`seed`), which has no size field on ws and the time of
        /// heartbeats in milliseconds.
        pub(crate) profile: Profile = Profile::Due2, choice(&[("due2", Profile::Due2), ("seed", Profile::Seed)]);
    }
}

duet_config::settings! {
    /// Whether a proxy stands in front of a listener.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct ProxySettings {
        /// Not kcp: whether peers in `limits.trusted_proxies`, which must not be empty then, begin with a PROXY protocol header (v1 or v2). One
        /// that does not is closed.
        pub(crate) proxy_protocol: bool = false, boolean();
    }
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

fn protocol() -> Kind<Protocol> {
    choice(&[("tcp", Protocol::Tcp), ("ws", Protocol::Ws), ("kcp", Protocol::Kcp)])
}

fn file() -> Kind<String> {
    string().check("names of a file", |name| !name.trim().is_empty() && !name.contains('\0'))
}

/// The keys of a listener that have no default.
#[cfg(test)]
pub(super) fn describe_place() -> Vec<Setting> {
    let address =
        ["Address and port. Port 0: any free one. `[::]` takes clients of IPv4 as well, unless another listener has the same port on an \
         address of IPv4."];
    vec![
        Setting::new("protocol", &["What carries the packets. kcp is over udp, and cannot be encrypted."], &protocol(), None),
        Setting::new("address", &address, &socket_addr(), None),
    ]
}

/// The keys of a certificate, which have no default.
pub(super) fn describe_tls() -> Vec<Setting> {
    let certificate = [
        "Not kcp: the certificate for TLS in PEM, the server's own first; both files or none, and without them no TLS. Read at start, on \
         SIGHUP and when they change; files that are wrong leave the old certificate in use. Relative to the working directory.",
    ];
    let key = ["Not kcp: its private key in PEM, without a password."];
    vec![Setting::new("tls_cert", &certificate, &file(), None), Setting::new("tls_key", &key, &file(), None)]
}

/// The listeners of a file without any: ws on port 3553 and tcp on port 3554, loopback only.
pub(super) fn defaults(codec: &CodecOptions, gate: &GateSettings) -> Vec<ListenerSettings> {
    let on = |protocol, port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        ListenerSettings::new(protocol, address, Profile::Due2, codec, gate)
    };
    vec![on(Protocol::Ws, 3553), on(Protocol::Tcp, 3554)]
}

/// Reads all listeners and checks that no two of them want the same address. `trusts` says whether there are trusted proxies.
pub(super) fn read_all(
    root: &mut Table<'_>,
    codec: &CodecOptions,
    gate: &GateSettings,
    trusts: bool,
    report: &Report,
) -> Vec<ListenerSettings> {
    let Some(tables) = root.tables("listener") else {
        return defaults(codec, gate);
    };
    if tables.is_empty() {
        root.mistake("listener", "allowed: at least one table, or no such key for the defaults");
    }
    let mut listeners = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    for table in tables {
        let place = table.place("address");
        let Some(listener) = ListenerSettings::read(table, codec, gate, trusts) else {
            continue;
        };
        if let Some((_, first)) = listeners.iter().zip(&places).find(|(other, _)| collide(other, &listener)) {
            report.mistake(place.clone(), format!("taken by {}: only one listener for each address is allowed", first.in_line()));
        }
        places.push(place);
        listeners.push(listener);
    }
    listeners
}

impl ListenerSettings {
    /// A listener that says nothing but this itself.
    pub(crate) fn new(protocol: Protocol, address: SocketAddr, profile: Profile, codec: &CodecOptions, gate: &GateSettings) -> Self {
        let mut client = gate.client.clone();
        client.notices.heartbeat_time |= profile == Profile::Seed;
        ListenerSettings {
            protocol,
            address,
            own: OwnSettings { profile },
            ws: WsOptions::default(),
            tls: None,
            proxy: ProxySettings::default(),
            kcp: KcpOptions::default(),
            codec: *codec,
            client,
        }
    }

    /// `None` if there is no usable protocol or address.
    fn read(mut table: Table<'_>, codec: &CodecOptions, gate: &GateSettings, trusts: bool) -> Option<ListenerSettings> {
        let table_of = &mut table;
        let protocol = table_of.get("protocol", &protocol()).required();
        let address = table_of.get("address", &socket_addr()).required();
        let own = OwnSettings::read(table_of, &OwnSettings::default());

        // The rest is read whatever these two are, so that its mistakes are found as well.
        let (protocol_read, address_read) = (protocol.unwrap_or(Protocol::Ws), address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into()));
        let default = ListenerSettings::new(protocol_read, address_read, own.profile, codec, gate);
        let listener = ListenerSettings {
            ws: WsOptions::read(table_of, &default.ws),
            tls: tls(table_of),
            proxy: ProxySettings::read(table_of, &default.proxy),
            kcp: kcp(table_of.table("kcp")),
            codec: CodecOptions::read_again(table_of, &default.codec),
            client: default.client.read_again(table_of),
            ..default
        };
        if let Some(protocol) = protocol {
            listener.refuse_of_others(&table, protocol);
        }
        listener.check(&table, trusts);
        table.finish();
        protocol.and(address).map(|_| listener)
    }

    /// Refuses keys that mean nothing to the protocol of the listener.
    fn refuse_of_others(&self, table: &Table<'_>, protocol: Protocol) {
        let mut others: Vec<&str> = Vec::new();
        if protocol != Protocol::Ws {
            others.extend(self.ws.describe().iter().map(|setting| setting.key));
        }
        if protocol == Protocol::Kcp {
            others.extend(self.proxy.describe().iter().chain(&describe_tls()).map(|setting| setting.key));
        } else {
            others.push("kcp");
        }
        for key in others.into_iter().filter(|key| table.has(key) && !table.is_wrong(key)) {
            table.mistake(key, format!("not allowed with protocol {}", protocol.name()));
        }
    }

    /// Finds values that are wrong together, whether from this table or from others.
    fn check(&self, table: &Table<'_>, trusts: bool) {
        let (route, bytes) = (self.client.sessions.session_route.0, self.codec.route_bytes);
        let bits = u32::from(bytes) * 8 - 1;
        let routes = -(1_i64 << bits)..1_i64 << bits;
        if self.client.sessions.resume && !routes.contains(&i64::from(route)) {
            let (least, most) = (routes.start, routes.end - 1);
            table.mistake("session_route", format!("{route} does not fit; allowed: {least} to {most} with route_bytes = {bytes}"));
        }
        if self.protocol == Protocol::Kcp && self.client.timeouts.heartbeat_interval.is_zero() {
            let why = "clients of kcp leave without a goodbye and would be kept for ever";
            table.mistake("heartbeat_interval", format!("allowed: 10ms to 1h with protocol kcp: {why}"));
        }
        if self.proxy.proxy_protocol && !trusts && !table.is_wrong("proxy_protocol") {
            table.mistake("proxy_protocol", "allowed: false while limits.trusted_proxies is empty");
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

/// Both files or none.
fn tls(table: &mut Table<'_>) -> Option<TlsSettings> {
    let files = (table.get("tls_cert", &file()).optional(), table.get("tls_key", &file()).optional());
    match (table.has("tls_cert"), table.has("tls_key")) {
        (true, false) => table.mistake("tls_cert", "allowed only together with tls_key"),
        (false, true) => table.mistake("tls_key", "allowed only together with tls_cert"),
        _ => {}
    }
    let (Some(certificate), Some(key)) = files else { return None };
    Some(TlsSettings { certificate: certificate.into(), key: key.into() })
}

fn kcp(mut table: Table<'_>) -> KcpOptions {
    let kcp = KcpOptions::read(&mut table, &KcpOptions::default());
    table.finish();
    kcp
}

/// Whether two listeners cannot both be opened: a wildcard address takes its port on all addresses of its family, and leaves the other
/// family to a listener that wants it. Ports of udp and of tcp are separate.
fn collide(a: &ListenerSettings, b: &ListenerSettings) -> bool {
    let wildcard = |ip: IpAddr| ip.is_unspecified();
    let udp = |listener: &ListenerSettings| listener.protocol == Protocol::Kcp;
    let (a_ip, b_ip) = (a.address.ip().to_canonical(), b.address.ip().to_canonical());
    let overlap = a_ip == b_ip || (a_ip.is_ipv4() == b_ip.is_ipv4() && (wildcard(a_ip) || wildcard(b_ip)));
    udp(a) == udp(b) && a.address.port() != 0 && a.address.port() == b.address.port() && overlap
}
