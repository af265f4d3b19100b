//! A server that counts as the session protocol demands, loses connections on request and keeps what it sent.

use std::sync::{Arc, Mutex};

use duet_client::Endpoint;
use duet_codec::{Carrier, Cut, Format, Packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::format::usual;

/// Where it takes questions about sessions.
const SESSION: i32 = -1;
/// Logs in; before that there are no tokens.
pub const LOGIN: i32 = 2;
/// Answered with a push on route 30 and with itself, but the connection is lost first.
pub const TAKEN_THEN_LOST: i32 = 3;
/// The connection is lost before the request is taken; the second time it is answered with itself.
pub const LOST: i32 = 4;
/// The client is thrown out: the body is the code and the text.
pub const KICK: i32 = 5;

/// What a test connects to; dropping it ends the server.
#[derive(Debug)]
pub struct Resumable {
    /// Where it listens.
    pub endpoint: Endpoint,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    bound: bool,
    token: Option<String>,
    issued: u32,
    taken: u64,
    kept: Vec<Vec<u8>>,
    lost: bool,
}

/// Starts one in this process. Requests on other routes than those of this module are answered with themselves.
pub async fn resumable() -> Resumable {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    let state = Arc::new(Mutex::new(State::default()));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(serve(stream, Arc::clone(&state)));
        }
    });
    Resumable { endpoint, _tasks: tasks }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let format = usual();
    let mut input = Vec::new();
    loop {
        while let Cut::Packet(size) = format.cut(&input).unwrap() {
            let packet: Vec<u8> = input.drain(..size).collect();
            let mut out = Vec::new();
            let goes_on = state.lock().unwrap().take(&format, &packet, &mut out);
            if stream.write_all(&out).await.is_err() || !goes_on {
                return;
            }
        }
        if !matches!(stream.read_buf(&mut input).await, Ok(1..)) {
            return;
        }
    }
}

impl State {
    /// Whether the connection goes on.
    fn take(&mut self, format: &Format, packet: &[u8], out: &mut Vec<u8>) -> bool {
        let Packet::Data { route, seq, body, .. } = format.decode(Carrier::Stream, packet).unwrap() else { return true };
        let encode = |route, seq, body: &[u8]| {
            let mut packet = Vec::new();
            format.encode(Carrier::Stream, route, seq, body, &mut packet).unwrap();
            packet
        };
        if route == SESSION {
            match self.session(str::from_utf8(body).unwrap()) {
                Ok((answer, gap)) => {
                    out.extend(encode(SESSION, seq, answer.as_bytes()));
                    out.extend(gap.concat());
                }
                Err(code) => format.encode_error(Carrier::Stream, SESSION, seq, code, "", out).unwrap(),
            }
            return true;
        }
        if route == LOST && !self.lost {
            self.lost = true;
            return false;
        }
        self.taken += 1;
        match route {
            KICK => {
                let (code, text) = str::from_utf8(body).unwrap().split_once(' ').unwrap();
                format.encode_error(Carrier::Stream, 0, 0, code.parse().unwrap(), text, out).unwrap();
                return false;
            }
            TAKEN_THEN_LOST => {
                self.kept.push(encode(30, 0, b"news"));
                self.kept.push(encode(route, seq, body));
                return false;
            }
            LOGIN => self.bound = true,
            _ => {}
        }
        self.kept.push(encode(route, seq, body));
        out.extend(self.kept.last().unwrap());
        true
    }

    /// The answer, and what the client missed.
    fn session(&mut self, question: &str) -> Result<(String, Vec<Vec<u8>>), u16> {
        let field = |name: &str| {
            let (_, behind) = question.split_once(&format!("\"{name}\":"))?;
            Some(behind.trim_start_matches('"').split(['"', ',', '}']).next()?.to_owned())
        };
        let gap = match field("token") {
            None if !self.bound => return Err(4),
            None => {
                (self.taken, self.kept) = (0, Vec::new());
                Vec::new()
            }
            Some(token) if self.token.as_ref() != Some(&token) => return Err(11),
            Some(_) => self.kept[field("received").unwrap().parse().unwrap()..].to_vec(),
        };
        self.issued += 1;
        let token = format!("token-{}", self.issued);
        self.token = Some(token.clone());
        Ok((format!(r#"{{"token":"{token}","ttl_ms":30000,"received":{}}}"#, self.taken), gap))
    }
}
