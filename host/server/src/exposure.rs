//! Listeners that are more open than a game on the internet should be.

use duet_gateway::{ListenerOptions, Protocol};
use duet_transport::{Origin, Origins, WsOptions};

/// What an operator should know about a listener, one sentence each.
pub(crate) fn warnings(listener: &ListenerOptions) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    let is_public = !listener.address.ip().to_canonical().is_loopback();
    if is_public && listener.tls.is_none() && !matches!(listener.protocol, Protocol::Kcp(_)) {
        warnings
            .push("without TLS everybody on the way can read and change what is sent: set tls_cert and tls_key, or have a proxy do TLS");
    }
    match &listener.protocol {
        Protocol::Ws(WsOptions { origins: Origins::Any, .. }) => {
            warnings.push("origins = [\"*\"]: every web page can connect in the name of a visitor; name the pages of the game instead");
        }
        Protocol::Ws(WsOptions { origins: Origins::List(list), .. }) if list.contains(&Origin::Null) => {
            warnings.push(
                "origins with \"null\": every web page can put on this origin in a sandboxed frame, and connect in the name of a visitor",
            );
        }
        _ => {}
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::wiring;

    fn warned(listener: &str) -> usize {
        let settings = Settings::parse("duet.toml", &format!("[[listener]]\n{listener}")).unwrap();
        warnings(&wiring::listener(&settings, &settings.listeners[0]).unwrap()).len()
    }

    #[test]
    fn public_listeners_without_tls_and_origins_of_everybody_are_warned_of() {
        for (listener, count) in [
            ("protocol = \"tcp\"\naddress = \"127.0.0.1:1\"", 0),
            ("protocol = \"ws\"\naddress = \"[::1]:1\"", 0),
            ("protocol = \"tcp\"\naddress = \"[::ffff:127.0.0.1]:1\"", 0),
            ("protocol = \"kcp\"\naddress = \"0.0.0.0:1\"", 0),
            ("protocol = \"tcp\"\naddress = \"0.0.0.0:1\"", 1),
            ("protocol = \"ws\"\naddress = \"192.0.2.1:1\"", 1),
            ("protocol = \"ws\"\naddress = \"127.0.0.1:1\"\norigins = [\"*\"]", 1),
            ("protocol = \"ws\"\naddress = \"[::]:1\"\norigins = [\"*\"]", 2),
            ("protocol = \"ws\"\naddress = \"127.0.0.1:1\"\norigins = []", 0),
            ("protocol = \"ws\"\naddress = \"127.0.0.1:1\"\norigins = [\"https://game.example\"]", 0),
            ("protocol = \"ws\"\naddress = \"127.0.0.1:1\"\norigins = [\"https://game.example\", \"null\"]", 1),
        ] {
            assert_eq!(warned(listener), count, "{listener}");
        }
    }
}
