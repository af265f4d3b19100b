//! [`run`](console::run) and [`send`](console::send) against servers in this process: from lines in to lines out.

use std::time::Duration;

use duet_client::{Client, ClientError, ClientOptions, CloseReason, Endpoint, Foreign, Trust};
use duet_codec::{ByteOrder, Format, Profile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use duet_testkit::scripted::{Resumable, format, resumable, scripted, usual};

use super::command::Body;
use super::{ConsoleError, ConsoleOptions, Message};
use crate::console;

const LONG: Duration = Duration::from_secs(20);

async fn run(input: &str, options: ConsoleOptions) -> (Result<(), ConsoleError>, Vec<String>) {
    let server = scripted("ws", usual()).await;
    let mut client = Client::connect(&server.endpoint, usual(), ClientOptions::default()).await.unwrap();
    let mut out = Vec::new();
    let result = console::run(&mut client, input.as_bytes(), &mut out, &options).await;
    (result, String::from_utf8(out).unwrap().lines().map(str::to_owned).collect())
}

fn interactive() -> ConsoleOptions {
    ConsoleOptions { reply_timeout: LONG, ..ConsoleOptions::default() }
}

/// Sends one message, with this text on the command line.
async fn send(route: i32, seq: Option<i32>, body: &str, options: ConsoleOptions) -> (Result<(), ConsoleError>, Vec<String>) {
    send_in(usual(), Message { route, seq, body: body.parse().unwrap() }, options).await
}

async fn send_in(format: Format, message: Message, options: ConsoleOptions) -> (Result<(), ConsoleError>, Vec<String>) {
    let server = scripted("ws", format).await;
    let mut client = Client::connect(&server.endpoint, format, ClientOptions::default()).await.unwrap();
    let mut out = Vec::new();
    let result = console::send(&mut client, message, &mut out, &options).await;
    (result, String::from_utf8(out).unwrap().lines().map(str::to_owned).collect())
}

fn hasty() -> ConsoleOptions {
    ConsoleOptions { reply_timeout: Duration::from_millis(5), ..interactive() }
}

#[tokio::test]
async fn everything_that_is_sent_and_comes_back_is_written_down() {
    let (result, mut lines) = run("# a comment\n1 hello\n1 9 hex:ff00\n2 refuse me\n3 - 5 apples\n", interactive()).await;
    result.unwrap();
    lines.sort();
    let mut expected = [
        "> 1 1 hello",
        "> 1 9 hex:ff00",
        "> 2 2 refuse me",
        "> 3 3 5 apples",
        "< reply 1 1 hello",
        "< reply 1 9 hex:ff00",
        "< error 2 2 404 it's no \"such\" thing",
        "< push 30 news",
        "< reply 3 3 5 apples",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn mistakes_in_a_line_do_not_end_an_interactive_run() {
    let (result, lines) = run("what\n40000 x\n1 hello\n", interactive()).await;
    result.unwrap();
    assert!(lines[0].starts_with("! \"what\" is not a route"), "{lines:?}");
    assert!(lines[1].starts_with("! route 40000"), "{lines:?}");
    assert!(lines[3].starts_with("< reply 1 "), "{lines:?}");
}

#[tokio::test]
async fn what_is_not_answered_fails_a_run_and_is_named() {
    let (result, lines) = run("4 7 anyone\n1 hello\n4 6 there\n", hasty()).await;
    assert_eq!(lines.iter().filter(|line| line.starts_with("> ")).count(), 3, "{lines:?}");
    let error = result.unwrap_err();
    let ConsoleError::NoReply { requests, .. } = &error else { panic!("{error:?}") };
    assert!(requests.contains(&(4, 6)) && requests.contains(&(4, 7)), "{error}");
    assert!(error.to_string().starts_with("no answer within 5ms to route "), "{error}");
    let many = ConsoleError::NoReply { requests: (1..=7).map(|seq| (4, seq)).collect(), timeout: Duration::from_secs(1) };
    assert!(many.to_string().ends_with("route 4 seq 4, route 4 seq 5 and 2 more"), "{many}");
}

#[tokio::test]
async fn one_message_writes_its_answer_only() {
    let (result, lines) = send(3, None, "hello", interactive()).await;
    result.unwrap();
    assert_eq!(lines, ["< push 30 news", "< reply 3 1 hello"]);
}

#[tokio::test]
async fn the_body_of_one_message_is_what_was_given_to_the_last_blank() {
    for body in ["  two  words  ", "line\nbreak\r\n", "\ttab", "5", "5 apples", "- 5", "# no comment", ""] {
        let (result, lines) = send(1, None, body, interactive()).await;
        result.unwrap();
        let [reply] = lines.as_slice() else { panic!("{lines:?}") };
        let shown: Body = reply.strip_prefix("< reply 1 1 ").unwrap().parse().unwrap();
        assert_eq!(shown, Body::Bytes(body.as_bytes().to_vec()), "{body:?}");
    }
}

#[tokio::test]
async fn one_message_fails_with_its_answer() {
    let (result, lines) = send(2, None, "hello", interactive()).await;
    assert!(matches!(result, Err(ConsoleError::Refused { code: 404, .. })), "{result:?}");
    assert_eq!(lines, ["< error 2 1 404 it's no \"such\" thing"]);
}

#[tokio::test]
async fn one_message_fails_without_an_answer_a_body_or_a_connection() {
    assert!(matches!(send(4, None, "hello", hasty()).await.0, Err(ConsoleError::NoReply { requests, .. }) if requests == [(4, 1)]));
    assert!(matches!(send(1, None, "@no/such/file", interactive()).await.0, Err(ConsoleError::Command(_))));
    assert!(matches!(send(40_000, None, "x", interactive()).await.0, Err(ConsoleError::Send(_))));
    match send(5, None, "close", interactive()).await.0 {
        Err(ConsoleError::Closed(reason)) => assert_eq!(reason.close_code(), Some(4001)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_message_with_seq_0_waits_for_pushes_only() {
    let (result, lines) = send(3, Some(0), "hello", ConsoleOptions { wait: Duration::from_secs(1), ..interactive() }).await;
    result.unwrap();
    assert_eq!(lines, ["< push 30 news", "< push 3 hello"]);
    send(4, Some(0), "nobody answers", hasty()).await.0.unwrap();
}

#[tokio::test]
async fn without_a_seq_in_the_format_whatever_comes_on_the_route_is_the_answer() {
    let format = format(Profile::Due2, ByteOrder::Big, 0);
    let message = |route| Message { route, seq: None, body: Body::Bytes(b"hello".to_vec()) };
    let (result, lines) = send_in(format, message(1), interactive()).await;
    result.unwrap();
    assert_eq!(lines, ["< push 1 hello"]);
    let (result, _) = send_in(format, message(4), hasty()).await;
    assert!(matches!(&result, Err(ConsoleError::NoReply { requests, .. }) if *requests == [(4, 0)]), "{result:?}");
}

/// Reads a little, writes this, and ends.
async fn saying(scheme: &str, said: &'static [u8]) -> (Endpoint, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap()).parse().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _read = stream.read(&mut [0; 4_096]).await.unwrap();
        stream.write_all(said).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    (endpoint, serving)
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_told_in_words() {
    let http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".as_slice();
    let alert = b"\x15\x03\x03\x00\x02\x02\x46".as_slice();
    for (said, foreign, word) in [(http, Foreign::Http, "ws://"), (alert, Foreign::Tls, "tls://")] {
        let (endpoint, serving) = saying("tcp", said).await;
        let mut client = Client::connect(&endpoint, usual(), ClientOptions::default()).await.unwrap();
        let message = Message { route: 1, seq: None, body: Body::Bytes(Vec::new()) };
        let error = console::send(&mut client, message, &mut Vec::new(), &interactive()).await.unwrap_err();
        assert!(matches!(&error, ConsoleError::Closed(CloseReason::Foreign(f)) if *f == foreign), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
        serving.await.unwrap();
    }
    let packets = b"\x00\x00\x00\x05\x01\x00\x00\x00\x00".as_slice();
    for (scheme, said) in [("ws", packets), ("ws", alert), ("ws", b""), ("tls", packets), ("tls", http), ("tls", b"")] {
        let (endpoint, serving) = saying(scheme, said).await;
        let options = ClientOptions { trust: Trust::AcceptAnyCertificate, ..ClientOptions::default() };
        let error = Client::connect(&endpoint, usual(), options).await.unwrap_err();
        let told = match scheme {
            "ws" => matches!(error, ClientError::NotWs { .. }) && error.to_string().contains("tcp://"),
            _ => matches!(error, ClientError::NotTls { .. }) && error.to_string().contains("tcp://"),
        };
        assert!(told, "{scheme} {said:?}: {error:?}");
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_ends_without_a_word_may_be_the_wrong_one() {
    let (endpoint, serving) = saying("tcp", b"").await;
    let mut client = Client::connect(&endpoint, usual(), ClientOptions::default()).await.unwrap();
    let message = Message { route: 1, seq: None, body: Body::Bytes(Vec::new()) };
    let error = console::send(&mut client, message, &mut Vec::new(), &interactive()).await.unwrap_err();
    assert!(matches!(error, ConsoleError::Mute(CloseReason::EndOfStream)), "{error:?}");
    assert!(error.to_string().contains("another kind of listener"), "{error}");
    serving.await.unwrap();
}

async fn connect(server: &Resumable) -> Client {
    Client::connect(&server.endpoint, usual(), ClientOptions::default()).await.unwrap()
}

async fn typed(server: &Resumable, input: &str) -> (Result<(), ConsoleError>, Vec<String>) {
    let mut client = connect(server).await;
    let mut out = Vec::new();
    let options = ConsoleOptions { reply_timeout: LONG, ..ConsoleOptions::default() };
    let result = console::run(&mut client, input.as_bytes(), &mut out, &options).await;
    (result, String::from_utf8(out).unwrap().lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn a_session_is_opened_and_resumed_by_commands() {
    let server = resumable().await;
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
    let server = resumable().await;
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
