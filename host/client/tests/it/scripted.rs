//! A server whose answer depends on the route, over tcp and, by tungstenite, over ws.

use std::time::Duration;

use duet_client::Endpoint;
use duet_codec::{ByteOrder, Carrier, Cut, Format, Packet, Profile};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Answered with itself.
pub(crate) const ECHO: i32 = 1;
/// Answered with error packet 404.
pub(crate) const REFUSED: i32 = 2;
/// Answered with a push on route 30, then with itself.
pub(crate) const PUSHING: i32 = 3;
/// Never answered.
pub(crate) const SILENT: i32 = 4;
/// The connection is closed; on ws with code 4001.
pub(crate) const CLOSING: i32 = 5;
/// Every second one is answered first, then the one before it.
pub(crate) const SWAPPED: i32 = 6;
/// Answered with an empty body.
pub(crate) const SHRUNK: i32 = 7;
/// Answered on route 1.
pub(crate) const MISROUTED: i32 = 8;
/// Answered with a packet that is above the limit of the format.
pub(crate) const OVERSIZE: i32 = 9;
/// Answered with itself after a ws ping.
pub(crate) const PINGING: i32 = 10;

pub(crate) fn format(profile: Profile, byte_order: ByteOrder, seq_bytes: u8) -> Format {
    Format::new(profile, byte_order, 2, seq_bytes, 4_096).unwrap()
}

pub(crate) fn usual() -> Format {
    format(Profile::Due2, ByteOrder::Big, 2)
}

/// What a test connects to; dropping it ends the server.
pub(crate) struct Scripted {
    pub(crate) endpoint: Endpoint,
    _tasks: JoinSet<()>,
}

pub(crate) async fn scripted(scheme: &str, format: Format) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap()).parse().unwrap();
    let ws = scheme == "ws";
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            connections.spawn(async move {
                if ws {
                    serve_ws(stream, format).await;
                } else {
                    serve_tcp(stream, format).await;
                }
            });
        }
    });
    Scripted { endpoint, _tasks: tasks }
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
                self.format.encode_error(self.carrier, route, seq, 404, "no such thing", &mut out).unwrap();
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
            PINGING => vec![Act::Ping, Act::Send(reply(route, seq, body))],
            _ => Vec::new(),
        }
    }
}

async fn serve_tcp(mut stream: TcpStream, format: Format) {
    let mut script = Script { format, carrier: Carrier::Stream, held: None };
    let mut input = Vec::new();
    loop {
        while let Cut::Packet(size) = format.cut(&input).unwrap() {
            let packet: Vec<u8> = input.drain(..size).collect();
            for act in script.act(&packet) {
                match act {
                    Act::Send(bytes) => match stream.write_all(&bytes).await {
                        Ok(()) => {}
                        Err(_) => return,
                    },
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

async fn serve_ws(stream: TcpStream, format: Format) {
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
