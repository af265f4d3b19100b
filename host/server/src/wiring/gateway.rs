//! The options of the gate and of its listeners.

use std::sync::Arc;

use anyhow::Context;
use duet_gateway::{GatewayOptions, ListenerOptions, Protocol};
use duet_transport::TlsIdentity;

use crate::memory;
use crate::settings::{self, ListenerSettings, Settings};

pub(crate) fn gateway(settings: &Settings) -> anyhow::Result<GatewayOptions> {
    Ok(GatewayOptions { memory: Some(memory::marks(&settings.gate.memory)?), ..settings.gate.options.clone() })
}

/// Reads the certificate, if there is one.
pub(crate) fn listener(settings: &Settings, listener: &ListenerSettings) -> anyhow::Result<ListenerOptions> {
    let tls = listener.tls.as_ref().map(|tls| TlsIdentity::load(&tls.certificate, &tls.key));
    Ok(ListenerOptions {
        protocol: match listener.protocol {
            settings::Protocol::Tcp => Protocol::Tcp,
            settings::Protocol::Ws => Protocol::Ws(listener.ws.clone()),
            settings::Protocol::Kcp => Protocol::Kcp(listener.kcp),
        },
        address: listener.address,
        tls: tls.transpose().with_context(|| format!("the {} listener on {}", listener.protocol.name(), listener.address))?.map(Arc::new),
        proxy_protocol: listener.proxy.proxy_protocol,
        format: listener.codec.format(listener.own.profile)?,
        timeouts: listener.client.timeouts,
        sessions: listener.client.sessions.clone(),
        heartbeat_time: listener.client.notices.heartbeat_time,
        error_packets: listener.client.notices.error_packets,
        close_codes: settings.close_codes.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_cannot_be_read_is_named_with_its_file_and_listener() {
        let text = "[[listener]]\nprotocol = \"ws\"\naddress = \"127.0.0.1:1\"\ntls_cert = \"no-such.pem\"\ntls_key = \"key.pem\"";
        let settings = Settings::parse("duet.toml", text).unwrap();
        let error = format!("{:#}", listener(&settings, &settings.listeners[0]).unwrap_err());
        assert!(error.starts_with("the ws listener on 127.0.0.1:1: cannot read no-such.pem: "), "{error}");
    }
}
