//! Where a client connects to: `tcp://host:port`, `ws://host:port/path`, and so on.

use std::fmt;
use std::str::FromStr;

use duet_codec::Carrier;

/// What carries the packets of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A byte stream; packets are cut out of it by their size field.
    Tcp,
    /// The same inside of TLS.
    Tls,
    /// WebSocket; one binary message is one packet.
    Ws,
    /// The same inside of TLS.
    Wss,
    /// A byte stream by KCP over UDP.
    Kcp,
}

impl Transport {
    const ALL: [Self; 5] = [Self::Tcp, Self::Tls, Self::Ws, Self::Wss, Self::Kcp];

    /// How the codec frames packets on this transport.
    pub fn carrier(self) -> Carrier {
        match self {
            Self::Tcp | Self::Tls | Self::Kcp => Carrier::Stream,
            Self::Ws | Self::Wss => Carrier::Message,
        }
    }

    /// Whether it is inside of TLS.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// What comes before `://`.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Kcp => "kcp",
        }
    }
}

/// The address of a listener: transport, host, port and, for ws and wss, the path of the upgrade request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    transport: Transport,
    authority: String,
    path: String,
}

/// Why a text is not an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is no known scheme in front.
    #[error("{0:?} has to begin with tcp://, tls://, ws://, wss:// or kcp://")]
    Scheme(String),
    /// Host or port is missing or not valid.
    #[error("{0:?} is not host:port; an IPv6 host is written [::1]:3553")]
    Authority(String),
    /// Only ws and wss have paths.
    #[error("only a ws endpoint has a path, but {0:?} was given")]
    Path(String),
    /// The path has characters that a request line cannot have.
    #[error("the path {0:?} has spaces or control characters")]
    PathCharacters(String),
}

impl Endpoint {
    /// The transport named by the scheme.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// `host:port`, as the resolver and the `Host` header want it.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host, without port and without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The path of the ws upgrade with its query, beginning with `/`; `/` where there is no upgrade.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (transport, rest) = text
            .split_once("://")
            .and_then(|(scheme, rest)| Some((Transport::ALL.into_iter().find(|transport| transport.scheme() == scheme)?, rest)))
            .ok_or_else(|| EndpointError::Scheme(text.to_owned()))?;
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if !is_host_and_port(authority) {
            return Err(EndpointError::Authority(authority.to_owned()));
        }
        if transport.carrier() == Carrier::Stream && !matches!(path, "" | "/") {
            return Err(EndpointError::Path(path.to_owned()));
        }
        // A line break here would let the text write headers of its own into the upgrade request.
        if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(EndpointError::PathCharacters(path.to_owned()));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { transport, authority: authority.to_owned(), path })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.scheme(), self.authority)?;
        match self.transport.carrier() {
            Carrier::Stream => Ok(()),
            Carrier::Message => f.write_str(&self.path),
        }
    }
}

fn is_host_and_port(authority: &str) -> bool {
    let Some((host, port)) = authority.rsplit_once(':') else { return false };
    let bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    let plain =
        !host.is_empty() && !host.contains(|c: char| c == ':' || c == '[' || c == ']' || c == '@' || c.is_whitespace() || c.is_control());
    let port_is_number = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p != 0);
    (bracketed || plain) && port_is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written_back() {
        for (text, transport, authority, path) in [
            ("tcp://127.0.0.1:3554", Transport::Tcp, "127.0.0.1:3554", "/"),
            ("ws://localhost:3553/game?v=1", Transport::Ws, "localhost:3553", "/game?v=1"),
            ("ws://[::1]:80/", Transport::Ws, "[::1]:80", "/"),
            ("tls://a.example:3554", Transport::Tls, "a.example:3554", "/"),
            ("wss://a.example:443/game", Transport::Wss, "a.example:443", "/game"),
            ("kcp://127.0.0.1:3555", Transport::Kcp, "127.0.0.1:3555", "/"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.transport(), endpoint.authority(), endpoint.path()), (transport, authority, path));
            assert_eq!(endpoint.to_string(), text);
        }
        assert_eq!("ws://a:1".parse::<Endpoint>().unwrap().to_string(), "ws://a:1/");
        assert_eq!("ws://a:1?k=v".parse::<Endpoint>().unwrap().path(), "/?k=v");
        assert_eq!("wss://[::1]:80/".parse::<Endpoint>().unwrap().host(), "::1");
        assert_eq!("tls://a.example:1".parse::<Endpoint>().unwrap().host(), "a.example");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_its_reason() {
        assert!(matches!("127.0.0.1:1".parse::<Endpoint>(), Err(EndpointError::Scheme(_))));
        assert!(matches!("http://a:1".parse::<Endpoint>(), Err(EndpointError::Scheme(_))));
        for bad in ["tcp://a", "tcp://:1", "tcp://a:0", "tcp://a:+1", "tcp://a:70000", "tcp://::1:1", "tcp://u@a:1", "ws:///x"] {
            assert!(matches!(bad.parse::<Endpoint>(), Err(EndpointError::Authority(_))), "{bad}");
        }
        for bad in ["tcp://a:1/x", "tls://a:1/x", "kcp://a:1/x"] {
            assert!(matches!(bad.parse::<Endpoint>(), Err(EndpointError::Path(_))), "{bad}");
        }
        assert!(matches!("ws://a:1/x\r\nCookie: 1".parse::<Endpoint>(), Err(EndpointError::PathCharacters(_))));
    }
}
