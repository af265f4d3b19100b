//! The options of the gate and of its listeners.

use std::sync::Arc;

use anyhow::Context;
use duet_codec::Format;
use duet_core::Route;
use duet_gateway::{GatewayOptions, ListenerOptions, Protocol, Rates, RoutePolicy, SessionOptions};
use duet_session::{SessionLimits, Timeouts};
use duet_transport::{GuardOptions, KcpOptions, Rate, TlsIdentity, WsOptions};

use crate::memory;
use crate::settings::{self, KcpSettings, LimitSettings, ListenerSettings, SessionSettings, Settings};

/// The longest name of a channel, in bytes.
const CHANNEL_BYTES_MAX: usize = 255;

pub(crate) fn gateway(settings: &Settings) -> anyhow::Result<GatewayOptions> {
    let (gateway, limits) = (&settings.gateway, &settings.limits);
    Ok(GatewayOptions {
        connections_max: gateway.connections_max,
        handshakes_max: gateway.handshakes_max,
        handshake_timeout: gateway.handshake_timeout,
        guard: guard(limits),
        proxies: limits.trusted_proxies.clone(),
        rates: rates(limits),
        write_queue_packets: gateway.write_queue_packets,
        write_queue_bytes: gateway.write_queue_bytes,
        routes: settings
            .routes
            .iter()
            .map(|r| (Route(r.route), RoutePolicy { body_bytes_max: r.body_bytes_max, overflow: r.overflow }))
            .collect(),
        channels: settings.channels.iter().map(|c| (c.prefix.clone(), c.overflow)).collect(),
        sessions: SessionLimits {
            channels_per_session: gateway.channels_per_connection,
            channel_bytes: CHANNEL_BYTES_MAX,
            suspended_max: gateway.suspended_max,
        },
        resume_bytes_total: gateway.resume_bytes_total,
        memory: Some(memory::marks(gateway)?),
        drain_spread: gateway.drain_spread,
        reconnect_spread: gateway.reconnect_spread,
    })
}

fn guard(limits: &LimitSettings) -> GuardOptions {
    GuardOptions {
        connections_per_address: limits.connections_per_address,
        connections_per_second: limits.connections_per_second.into(),
        burst: limits.connections_burst,
        exempt: limits.exempt.clone(),
        addresses_max: limits.addresses_max,
    }
}

fn rates(limits: &LimitSettings) -> Rates {
    Rates {
        messages: Rate { per_second: limits.messages_per_second.into(), burst: limits.messages_burst.into() },
        bytes: Rate { per_second: limits.bytes_per_second.into(), burst: limits.bytes_burst.into() },
    }
}

/// Reads the certificate, if there is one.
pub(crate) fn listener(settings: &Settings, listener: &ListenerSettings) -> anyhow::Result<ListenerOptions> {
    let gateway = &settings.gateway;
    let tls = listener.tls.as_ref().map(|tls| TlsIdentity::load(&tls.certificate, &tls.key));
    Ok(ListenerOptions {
        protocol: match listener.protocol {
            settings::Protocol::Tcp => Protocol::Tcp,
            settings::Protocol::Ws => Protocol::Ws(WsOptions {
                path: listener.path.clone(),
                origins: listener.origins.clone(),
                subprotocols: listener.subprotocols.clone(),
            }),
            settings::Protocol::Kcp => Protocol::Kcp(kcp(&listener.kcp)),
        },
        address: listener.address,
        tls: tls.transpose().with_context(|| format!("the {} listener on {}", listener.protocol.name(), listener.address))?.map(Arc::new),
        proxy_protocol: listener.proxy_protocol,
        format: format(settings, listener)?,
        timeouts: Timeouts {
            first_packet: gateway.first_packet_timeout,
            authorize: listener.authorize_timeout,
            packet: gateway.packet_timeout,
            write: gateway.write_timeout,
            heartbeat: match listener.heartbeat {
                settings::Heartbeat::Resp => duet_session::Heartbeat::Respond,
                settings::Heartbeat::Tick => duet_session::Heartbeat::Tick,
                settings::Heartbeat::Off => duet_session::Heartbeat::Off,
            },
            heartbeat_interval: listener.heartbeat_interval,
        },
        sessions: sessions(&listener.sessions),
        heartbeat_time: listener.heartbeat_time,
        error_packets: listener.error_packets,
        close_codes: settings.close_codes.clone(),
    })
}

fn format(settings: &Settings, listener: &ListenerSettings) -> anyhow::Result<Format> {
    let profile = match listener.profile {
        settings::Profile::Due2 => duet_codec::Profile::Due2,
        settings::Profile::Seed => duet_codec::Profile::Seed,
    };
    let byte_order = match listener.byte_order {
        settings::ByteOrder::Big => duet_codec::ByteOrder::Big,
        settings::ByteOrder::Little => duet_codec::ByteOrder::Little,
    };
    let body_bytes_max = u32::try_from(settings.codec.body_bytes_max).context("codec.body_bytes_max")?;
    Ok(Format::new(profile, byte_order, listener.route_bytes, listener.seq_bytes, body_bytes_max)?)
}

fn sessions(sessions: &SessionSettings) -> SessionOptions {
    SessionOptions {
        duplicate_login: sessions.duplicate_login,
        route: sessions.resume.then_some(Route(sessions.session_route)),
        resume_timeout: sessions.resume_timeout,
        resume_packets: sessions.resume_packets,
        resume_bytes: sessions.resume_bytes,
    }
}

const fn kcp(kcp: &KcpSettings) -> KcpOptions {
    KcpOptions {
        mtu: kcp.mtu,
        nodelay: kcp.nodelay,
        interval: kcp.interval,
        resend: kcp.resend,
        nc: kcp.nc,
        send_window: kcp.send_window,
        receive_window: kcp.receive_window,
        ack_no_delay: kcp.ack_no_delay,
        stream: kcp.stream,
        sessions_max: kcp.sessions_max,
        dead_link: kcp.dead_link,
        linger: kcp.linger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_here_are_those_of_the_crates() {
        let settings = Settings::default();
        let options = GatewayOptions { memory: None, ..gateway(&settings).unwrap() };
        let expected = GatewayOptions {
            guard: GuardOptions { exempt: settings.limits.exempt, ..GuardOptions::default() },
            ..GatewayOptions::default()
        };
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));
        assert_eq!(format!("{:?}", kcp(&KcpSettings::default())), format!("{:?}", KcpOptions::default()));
        assert_eq!(sessions(&SessionSettings::default()), SessionOptions::default());
    }

    #[test]
    fn without_resumption_there_is_no_session_route() {
        assert_eq!(sessions(&SessionSettings { resume: false, ..SessionSettings::default() }).route, None);
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_named_with_its_file_and_listener() {
        let text = "[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\ntls_cert = \"no-such.pem\"\ntls_key = \"key.pem\"";
        let settings = Settings::parse("duet.toml", text).unwrap();
        let error = format!("{:#}", listener(&settings, &settings.listeners[0]).unwrap_err());
        assert!(error.starts_with("the ws listener on 127.0.0.1:1: cannot read no-such.pem: "), "{error}");
    }
}
