//! A server whose answer depends on the route, over tcp, by tungstenite over ws, by rustls over TLS and by tokio_kcp over kcp.

mod format;
pub mod resumable;

use std::sync::Arc;
use std::time::Duration;

use duet_client::{ClientOptions, Endpoint, Trust};
use duet_codec::{Carrier, Cut, Format, Packet};
use futures_util::{SinkExt, StreamExt};
use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_kcp::{KcpConfig, KcpListener, KcpNoDelayConfig};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

pub use format::{format, usual};
pub use resumable::{Resumable, resumable};

/// Answered with itself.
pub const ECHO: i32 = 1;
/// Answered with error packet 404.
pub const REFUSED: i32 = 2;
/// Answered with a push on route 30, then with itself.
pub const PUSHING: i32 = 3;
/// Never answered.
pub const SILENT: i32 = 4;
/// The connection is closed; on ws with code 4001.
pub const CLOSING: i32 = 5;
/// Every second one is answered first, then the one before it.
pub const SWAPPED: i32 = 6;
/// Answered with an empty body.
pub const SHRUNK: i32 = 7;
/// Answered on route 1.
pub const MISROUTED: i32 = 8;
/// Answered with a packet that is above the limit of the format.
pub const OVERSIZE: i32 = 9;
/// Answered with itself after a ws ping.
pub const PINGING: i32 = 10;
/// Answered with the error packet of a kick, and nothing else happens.
pub const KICKING: i32 = 11;

/// All transports it speaks.
pub const SCHEMES: [&str; 5] = ["tcp", "tls", "ws", "wss", "kcp"];

/// What a test connects to; dropping it ends the server.
#[derive(Debug)]
pub struct Scripted {
    /// Where it listens.
    pub endpoint: Endpoint,
    authority: Option<NamedTempFile>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Options that trust the certificate of this server.
    pub fn options(&self) -> ClientOptions {
        let trust = self.authority.as_ref().map_or_else(Trust::default, |file| Trust::Authorities(file.path().to_owned()));
        ClientOptions { trust, ..ClientOptions::default() }
    }
}

/// Starts one in this process, with one of the [`SCHEMES`].
pub async fn scripted(scheme: &str, format: Format) -> Scripted {
    if scheme == "kcp" {
        return scripted_kcp(format).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (acceptor, authority) = match scheme {
        "tls" | "wss" => Some(certified()).unzip(),
        _ => (None, None),
    };
    let host = if authority.is_some() { "localhost" } else { "127.0.0.1" };
    let ws = scheme.starts_with("ws");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                match acceptor {
                    Some(acceptor) => {
                        // A client that does not trust the certificate hangs up.
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, ws, format).await;
                        }
                    }
                    None => serve(stream, ws, format).await,
                }
            });
        }
    });
    Scripted { endpoint: format!("{scheme}://{host}:{port}").parse().unwrap(), authority, _tasks: tasks }
}

/// A self-signed certificate for `localhost`, and the file to trust.
fn certified() -> (TlsAcceptor, NamedTempFile) {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

async fn scripted_kcp(format: Format) -> Scripted {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("kcp://{}", socket.local_addr().unwrap()).parse().unwrap();
    let nodelay = KcpNoDelayConfig::fastest();
    let config = KcpConfig { nodelay, flush_write: true, flush_acks_input: true, stream: true, ..KcpConfig::default() };
    let mut listener = KcpListener::from_socket(config, socket).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(serve_stream(stream, format));
        }
    });
    Scripted { endpoint, authority: None, _tasks: tasks }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, ws: bool, format: Format) {
    if ws {
        serve_ws(stream, format).await;
    } else {
        serve_stream(stream, format).await;
    }
}

enum Act {
    Send(Vec<u8>),
    Ping,
    Close,
}

struct Script {
    format: Format,
    carrier: Carrier,
    held: Option<Vec<u8>>,
}

impl Script {
    fn act(&mut self, packet: &[u8]) -> Vec<Act> {
        let (route, seq, body) = match self.format.decode(self.carrier, packet).unwrap() {
            Packet::Empty => return Vec::new(),
            Packet::Heartbeat { .. } => {
                let mut out = Vec::new();
                self.format.encode_heartbeat(self.carrier, Some(Duration::from_millis(1_234)), &mut out);
                return vec![Act::Send(out)];
            }
            Packet::Data { route, seq, body, .. } => (route, seq, body),
        };
        let reply = |route, seq, body: &[u8]| {
            let mut out = Vec::new();
            self.format.encode(self.carrier, route, seq, body, &mut out).unwrap();
            out
        };
        match route {
            ECHO => vec![Act::Send(reply(route, seq, body))],
            REFUSED => {
                let mut out = Vec::new();
                self.format.encode_error(self.carrier, route, seq, 404, "it's no \"such\" thing", &mut out).unwrap();
                vec![Act::Send(out)]
            }
            PUSHING => vec![Act::Send(reply(30, 0, b"news")), Act::Send(reply(route, seq, body))],
            CLOSING => vec![Act::Close],
            SWAPPED => match self.held.take() {
                Some(held) => vec![Act::Send(reply(route, seq, body)), Act::Send(held)],
                None => {
                    self.held = Some(reply(route, seq, body));
                    Vec::new()
                }
            },
            SHRUNK => vec![Act::Send(reply(route, seq, b""))],
            MISROUTED => vec![Act::Send(reply(ECHO, seq, body))],
            OVERSIZE => {
                let wide = Format::new(self.format.profile(), self.format.byte_order(), 2, self.format.seq_bytes() as u8, 1 << 20).unwrap();
                let mut out = Vec::new();
                wide.encode(self.carrier, route, seq, &[b'x'; 8_192], &mut out).unwrap();
                vec![Act::Send(out)]
            }
            KICKING => {
                let mut out = Vec::new();
                self.format.encode_error(self.carrier, 0, 0, 12, "cheater", &mut out).unwrap();
                vec![Act::Send(out)]
            }
            PINGING => vec![Act::Ping, Act::Send(reply(route, seq, body))],
            _ => Vec::new(),
        }
    }
}

async fn serve_stream(mut stream: impl AsyncRead + AsyncWrite + Unpin, format: Format) {
    let mut script = Script { format, carrier: Carrier::Stream, held: None };
    let mut input = Vec::new();
    loop {
        while let Cut::Packet(size) = format.cut(&input).unwrap() {
            let packet: Vec<u8> = input.drain(..size).collect();
            for act in script.act(&packet) {
                match act {
                    Act::Send(bytes) => {
                        // tokio_kcp takes no more than 127 segments at once.
                        for part in bytes.chunks(32 << 10) {
                            if stream.write_all(part).await.is_err() || stream.flush().await.is_err() {
                                return;
                            }
                        }
                    }
                    Act::Ping => {}
                    Act::Close => return,
                }
            }
        }
        if !matches!(stream.read_buf(&mut input).await, Ok(1..)) {
            return;
        }
    }
}

async fn serve_ws(stream: impl AsyncRead + AsyncWrite + Unpin, format: Format) {
    let mut script = Script { format, carrier: Carrier::Message, held: None };
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(packet) = message else { continue };
        for act in script.act(&packet) {
            let sent = match act {
                Act::Send(bytes) => socket.send(Message::Binary(bytes.into())).await,
                Act::Ping => {
                    let sent = socket.send(Message::Ping("are you there".into())).await;
                    // Nothing else is answered until the pong is here; what the client sent before it has no answer.
                    while !matches!(socket.next().await, Some(Ok(Message::Pong(payload))) if payload == "are you there") {}
                    sent
                }
                Act::Close => socket.close(Some(CloseFrame { code: 4001.into(), reason: "kicked".into() })).await,
            };
            if sent.is_err() {
                return;
            }
        }
    }
}
