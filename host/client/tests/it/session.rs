//! Sessions against a server that counts as the protocol demands, loses connections on request and keeps what it sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use duet_client::console::{self, ConsoleError, ConsoleOptions};
use duet_client::{Client, ClientError, ClientOptions, CloseReason, Endpoint, Incoming, Reply, Session};
use duet_codec::{Carrier, Cut, Format, Packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::scripted::usual;

const LONG: Duration = Duration::from_secs(20);
const SESSION: i32 = -1;
/// Answered with itself.
const ECHO: i32 = 1;
/// Logs in; before it there are no tokens.
const LOGIN: i32 = 2;
/// Answered with a push on route 30 and with itself, but the connection is lost before.
const TAKEN_THEN_LOST: i32 = 3;
/// The connection is lost before it is taken; the second time it is answered with itself.
const LOST: i32 = 4;
/// The client is thrown out: the body is the code and the text.
const KICK: i32 = 5;

struct Server {
    endpoint: Endpoint,
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

async fn server() -> Server {
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
    Server { endpoint, _tasks: tasks }
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

async fn connect(server: &Server) -> Client {
    Client::connect(&server.endpoint, usual(), ClientOptions::default()).await.unwrap()
}

async fn with_session(server: &Server) -> Client {
    let client = connect(server).await;
    client.request(LOGIN, b"", LONG).await.unwrap();
    client.open_session(LONG).await.unwrap();
    client
}

async fn resume(server: &Server, session: &Session) -> Result<Client, ClientError> {
    Client::resume(&server.endpoint, usual(), ClientOptions::default(), session).await
}

fn push() -> Incoming {
    Incoming::Push { route: 30, body: "news".into() }
}

fn reply(route: i32, seq: i32, body: &'static str) -> Incoming {
    Incoming::Reply(Reply { route, seq, body: body.into() })
}

#[tokio::test]
async fn there_is_no_session_before_a_login() {
    let server = server().await;
    let client = connect(&server).await;
    assert!(matches!(client.open_session(LONG).await, Err(ClientError::Refused { code: 4, .. })));
    assert!(client.session().is_none());
    client.request(LOGIN, b"", LONG).await.unwrap();
    let session = client.open_session(LONG).await.unwrap();
    assert_eq!((session.token(), session.ttl(), session.received()), ("token-1", Duration::from_secs(30), 0));
}

#[tokio::test]
async fn missed_packets_arrive_once_each_after_a_resumption() {
    let server = server().await;
    let mut client = with_session(&server).await;
    client.request(ECHO, b"", LONG).await.unwrap();
    assert!(matches!(client.request(TAKEN_THEN_LOST, b"late", LONG).await, Err(ClientError::Closed(CloseReason::EndOfStream))));
    let session = client.suspend().unwrap();
    assert_eq!(session.received(), 1);
    let mut client = resume(&server, &session).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), push());
    assert_eq!(client.recv().await.unwrap(), reply(TAKEN_THEN_LOST, 4, "late"));
    let echo = client.request(ECHO, b"on we go", LONG).await.unwrap();
    assert!(echo.seq > 4, "a seq that an answer may still be on its way for is not used again");
    assert_eq!((client.session().unwrap().received(), client.session().unwrap().token()), (4, "token-2"));
    client.close().await;
}

#[tokio::test]
async fn what_the_server_did_not_get_is_sent_again() {
    let server = server().await;
    let mut client = with_session(&server).await;
    client.request(ECHO, b"", LONG).await.unwrap();
    client.send(ECHO, 50, b"taken").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), reply(ECHO, 50, "taken"));
    client.send(LOST, 51, b"lost").await.unwrap();
    assert!(matches!(client.recv().await, Err(ClientError::Closed(_))));
    let session = client.suspend().unwrap();
    assert_eq!(session.unsettled(), 1);
    let mut client = resume(&server, &session).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), reply(LOST, 51, "lost"));
    assert_eq!(client.session().unwrap().unsettled(), 0);
}

#[tokio::test]
async fn what_was_received_and_not_taken_goes_to_the_next_connection() {
    let server = server().await;
    let mut client = with_session(&server).await;
    client.send(ECHO, 50, b"first").await.unwrap();
    client.request(ECHO, b"", LONG).await.unwrap();
    let session = client.suspend().unwrap();
    assert!(matches!(client.recv().await, Err(ClientError::Closed(CloseReason::Local))));
    let mut client = resume(&server, &session).await.unwrap();
    client.send(ECHO, 51, b"second").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), reply(ECHO, 50, "first"));
    assert_eq!(client.recv().await.unwrap(), reply(ECHO, 51, "second"));
}

#[tokio::test]
async fn a_session_survives_many_reconnections() {
    let server = server().await;
    let mut client = with_session(&server).await;
    for n in 0..20 {
        let body = n.to_string();
        client.request(ECHO, body.as_bytes(), LONG).await.unwrap();
        client.send(TAKEN_THEN_LOST, 100 + n, body.as_bytes()).await.unwrap();
        assert!(matches!(client.recv().await, Err(ClientError::Closed(_))));
        client.reconnect().await.unwrap();
        assert_eq!(client.recv().await.unwrap(), push());
        assert_eq!(client.recv().await.unwrap(), Incoming::Reply(Reply { route: TAKEN_THEN_LOST, seq: 100 + n, body: body.into() }));
    }
    assert_eq!(client.session().unwrap().received(), 60);
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_gone() {
    let server = server().await;
    let session = Session::from_token("no-such-token", 3);
    assert!(matches!(resume(&server, &session).await, Err(ClientError::SessionGone)));
    let mut client = with_session(&server).await;
    let old = client.suspend().unwrap();
    drop(resume(&server, &old).await.unwrap());
    assert!(matches!(resume(&server, &old).await, Err(ClientError::SessionGone)), "a token is good for once");
}

#[tokio::test]
async fn a_token_alone_is_enough_to_go_on() {
    let server = server().await;
    let client = with_session(&server).await;
    client.request(ECHO, b"seen", LONG).await.unwrap();
    client.request(ECHO, b"forgotten", LONG).await.unwrap();
    let token = client.session().unwrap().token().to_owned();
    client.close().await;
    let mut client = resume(&server, &Session::from_token(token, 1)).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), reply(ECHO, 4, "forgotten"));
}

#[tokio::test]
async fn messages_that_are_lost_for_good_are_told() {
    let server = server().await;
    let options = ClientOptions { session_packets_max: 1, ..ClientOptions::default() };
    let mut client = Client::connect(&server.endpoint, usual(), options).await.unwrap();
    client.request(LOGIN, b"", LONG).await.unwrap();
    client.open_session(LONG).await.unwrap();
    // Both are in the log before the server can hang up.
    let (first, second) = tokio::join!(client.send(LOST, 50, b""), client.send(ECHO, 51, b""));
    first.and(second).unwrap();
    assert!(matches!(client.recv().await, Err(ClientError::Closed(_))));
    let session = client.suspend().unwrap();
    assert!(matches!(resume(&server, &session).await, Err(ClientError::SessionGap { lost: 1 })));
}

#[tokio::test]
async fn the_last_words_of_the_server_are_the_reason() {
    let server = server().await;
    for (words, expected) in [
        ("12 cheater", CloseReason::Kicked("cheater".to_owned())),
        ("14 replaced", CloseReason::Replaced),
        ("10 going away; retry-after-ms=250", CloseReason::GoingAway { retry_after: Some(Duration::from_millis(250)) }),
        ("1234 maintenance", CloseReason::Refused { code: 1_234, message: "maintenance".to_owned() }),
        ("3 unknown route", CloseReason::EndOfStream),
    ] {
        let mut client = connect(&server).await;
        client.send(KICK, 1, words.as_bytes()).await.unwrap();
        assert!(matches!(client.recv().await.unwrap(), Incoming::Error { route: 0, seq: 0, .. }));
        assert!(matches!(client.recv().await, Err(ClientError::Closed(reason)) if reason == expected), "{words}");
    }
}

async fn typed(server: &Server, input: &str) -> (Result<(), ConsoleError>, Vec<String>) {
    let mut client = connect(server).await;
    let mut out = Vec::new();
    let options = ConsoleOptions { reply_timeout: LONG, ..ConsoleOptions::default() };
    let result = console::run(&mut client, input.as_bytes(), &mut out, &options).await;
    (result, String::from_utf8(out).unwrap().lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn a_session_is_opened_and_resumed_by_commands() {
    let server = server().await;
    let (result, mut lines) = typed(&server, "resume\nsession\n2 log me in\nsession\n1 hello\nresume\n1 again\n").await;
    result.unwrap();
    lines.sort();
    let expected = ["! refused with code 4: ", "! there is no session; open one first", "< reply 1 4 hello"];
    for line in expected {
        assert!(lines.iter().any(|l| l == line), "{line}: {lines:?}");
    }
    assert!(lines.iter().any(|l| l == "< session token-1 30000 0"), "{lines:?}");
    assert!(lines.iter().any(|l| l.starts_with("< resumed token-2 30000 ")), "{lines:?}");
    assert!(lines.iter().any(|l| l.starts_with("< reply 1 ") && l.ends_with(" again")), "{lines:?}");
}

/// What is written, line by line.
struct Written(mpsc::Sender<String>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _closed = self.0.try_send(String::from_utf8(bytes.to_vec()).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn after_a_loss_the_console_waits_for_resume() {
    let server = server().await;
    let (mut typing, input) = tokio::io::duplex(1_000);
    let (written, mut lines) = mpsc::channel(1_000);
    let mut client = connect(&server).await;
    let run = tokio::spawn(async move {
        let options = ConsoleOptions { reply_timeout: LONG, ..ConsoleOptions::default() };
        console::run(&mut client, tokio::io::BufReader::new(input), &mut Written(written), &options).await
    });
    let mut text = String::new();
    for (line, answer) in [
        ("2 log me in\n", "< reply 2 "),
        ("session\n", "< session token-1 "),
        ("3 late\n", "`resume` goes on"),
        ("1 too early\n", "! the connection is closed"),
        ("resume\n", "< reply 3 3 late"),
        ("1 again\n", "< reply 1 "),
    ] {
        typing.write_all(line.as_bytes()).await.unwrap();
        text.clear();
        while !text.contains(answer) {
            text += &lines.recv().await.unwrap_or_else(|| panic!("{answer} after {line}: {text}"));
        }
    }
    drop(typing);
    run.await.unwrap().unwrap();
}
