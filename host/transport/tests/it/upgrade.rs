//! The WebSocket handshake, byte by byte.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use duet_transport::{Networks, Origin, Origins, Reader, Stream, Tls, Upgrade, UpgradeError, WsOptions};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::pki::{Pki, handshake, soon, tcp};
use crate::stream::{read, read_to_end, write_all};

const START: &str = "GET /game HTTP/1.1\r\nHost: game.example:3553\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What came of a request on the server's side: for whom it was, and what came after it.
type Asked = Result<(Option<IpAddr>, Vec<u8>), UpgradeError>;

fn game(origins: &Origins) -> WsOptions {
    WsOptions { path: "/game".into(), origins: origins.clone(), subprotocols: Vec::new() }
}

/// What the server makes of a request, and what the client gets.
async fn ask_with(request: &str, options: &WsOptions, proxies: Option<&Networks>) -> (Asked, String) {
    let (mut client, server) = duplex(64 << 10);
    client.write_all(request.as_bytes()).await.unwrap();
    let serve = async {
        let asked = Upgrade::read(server, options, proxies, soon()).await?;
        let forwarded = asked.forwarded;
        let mut upgraded = asked.agree(soon()).await?;
        upgraded.stream.shutdown().await?;
        Ok((forwarded, upgraded.ahead))
    };
    let hear = async {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        drop(client);
        answer
    };
    tokio::join!(serve, hear)
}

async fn ask(request: &str, origins: &Origins, proxies: Option<&Networks>) -> (Asked, String) {
    ask_with(request, &game(origins), proxies).await
}

/// The status that a request of these lines is answered with.
async fn status(request: &str) -> String {
    let answer = ask(request, &Origins::SameHost, None).await.1;
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_good_request_is_agreed_to() {
    let (result, answer) = ask(&format!("{START}\r\n"), &Origins::SameHost, None).await;
    assert_eq!(result.unwrap(), (None, Vec::new()));
    // The example of RFC 6455, letter by letter.
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_a_reason() {
    let long = format!("{START}Cookie: {}\r\n\r\n", "x".repeat(8 << 10));
    let many = format!("{START}{}\r\n", "a: b\r\n".repeat(200));
    for (request, status) in [
        (format!("{START}\r\n").replace("/game", "/"), 404),
        (format!("{START}\r\n").replace("/game", "/game/"), 404),
        (format!("{START}Origin: https://evil.example\r\n\r\n"), 403),
        (format!("{START}\r\n").replace("Version: 13", "Version: 8"), 426),
        (format!("{START}\r\n").replace("Sec-WebSocket-Version: 13\r\n", ""), 426),
        (format!("{START}\r\n").replace("Upgrade\r\nUpgrade: websocket", "Upgrade\r\nUpgrade: h2c"), 426),
        (format!("{START}\r\n").replace("keep-alive, Upgrade", "keep-alive"), 426),
        // What an nginx sends that is not configured for WebSockets.
        ("GET /game HTTP/1.0\r\nHost: game\r\nConnection: close\r\n\r\n".to_owned(), 426),
        ("GET /game HTTP/1.1\r\nHost: game.example\r\n\r\n".to_owned(), 426),
        (format!("{START}\r\n").replace("GET", "POST"), 405),
        (format!("{START}\r\n").replace("GET", "HEAD"), 405),
        (format!("{START}\r\n").replace("dGhl", "d"), 400),
        (format!("{START}\r\n").replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZTEy"), 400),
        (format!("{START}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), 400),
        (format!("{START}Host: game.example\r\n\r\n"), 400),
        (format!("{START}\r\n").replace("Host: game.example:3553\r\n", ""), 400),
        (format!("{START}\r\n").replace("Host: game.example:3553\r\n", "").replace("/game HTTP", "ws://game.example/game HTTP"), 400),
        (format!("{START}\r\n").replace("Connection:", "Connection :"), 400),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400),
        ("hello, is there a game?\n".to_owned(), 400),
        (many, 400),
        (long, 431),
    ] {
        let (result, answer) = ask(&request, &Origins::SameHost, None).await;
        let Err(UpgradeError::Refused { status: refused, text }) = result else { panic!("{request}: {result:?}") };
        assert_eq!(refused, status, "{request}: {text}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(&format!("\r\n\r\n{text}\n")), "{answer}");
        assert!(answer.contains(&format!("Content-Length: {}\r\n", text.len() + 1)), "{answer}");
        let names_what_helps = answer.contains("\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        assert_eq!(names_what_helps, status == 426, "{answer}");
        assert_eq!(answer.contains("\r\nAllow: GET\r\n"), status == 405, "{answer}");
    }
}

#[tokio::test]
async fn lists_may_stand_in_several_lines_with_commas_blanks_and_tabs_in_letters_of_any_size() {
    let lines = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    for other in [
        "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        "Connection: keep-alive,\tUpgrade\r\nUpgrade:\twebsocket\t\r\n",
        "Connection:Upgrade\r\nUpgrade:websocket\r\n",
        "connection: UPGRADE\r\nUPGRADE: WebSocket\r\n",
        "Connection: Keep-Alive\tUpgrade\r\nUpgrade: websocket\r\n",
        "Connection: x\u{e9}, upgrade\r\nUpgrade: websocket\r\n",
        "Connection: upgrade,keep-alive,,\r\nUpgrade: h2c\r\nUpgrade: foo, websocket\r\n",
        "Upgrade: websocket\r\nConnection: , ,upgrade\r\n",
    ] {
        assert_eq!(status(&format!("{START}\r\n").replace(lines, other)).await, "101", "{other:?}");
    }
    for other in ["Connection: upgraded\r\nUpgrade: websocket\r\n", "Connection: Upgrade\r\nUpgrade: websocket2\r\n"] {
        assert_eq!(status(&format!("{START}\r\n").replace(lines, other)).await, "426", "{other:?}");
    }
}

#[tokio::test]
async fn what_browsers_libraries_and_proxies_write_differently_is_agreed_to() {
    for (from, to) in [
        ("/game HTTP", "/game?token=a/b&x=1 HTTP"),
        ("/game HTTP", "ws://game.example:3553/game HTTP"),
        ("/game HTTP", "http://game.example/game?x HTTP"),
        ("Version: 13", "Version:  13 "),
        ("Version: 13", "Version: 13, 8"),
        // The last bits of the key are nobody's business.
        ("jZQ==", "jZR=="),
        ("Key: ", "Key:\t"),
        ("\r\n", "\n"),
    ] {
        let request = format!("{START}\r\n").replace(from, to);
        assert_eq!(status(&request).await, "101", "{request}");
    }
    // The host of the target counts before the header's.
    let other = format!("{START}Origin: https://page.example\r\n\r\n").replace("/game HTTP", "ws://page.example/game HTTP");
    assert_eq!(status(&other).await, "101");
    assert_eq!(status(&other.replace("Origin: https://page", "Origin: https://game")).await, "403");
}

#[tokio::test]
async fn the_first_subprotocol_that_the_client_offers_and_the_listener_has_is_agreed_on() {
    let ours = |names: &[&str]| WsOptions { subprotocols: names.iter().map(|n| (*n).to_owned()).collect(), ..game(&Origins::SameHost) };
    for (offer, have, agreed) in [
        ("Sec-WebSocket-Protocol: b, a\r\n", &["a", "b"][..], Some("b")),
        ("Sec-WebSocket-Protocol: x,\ta\r\n", &["a"], Some("a")),
        ("Sec-WebSocket-Protocol: x\r\nsec-websocket-protocol: y , a\r\n", &["a"], Some("a")),
        ("Sec-WebSocket-Protocol: A\r\n", &["a"], None),
        ("Sec-WebSocket-Protocol: x\r\n", &["a"], None),
        ("Sec-WebSocket-Protocol: a\r\n", &[], None),
        ("Sec-WebSocket-Protocol: ,\r\n", &["a"], None),
        ("", &["a"], None),
    ] {
        let (result, answer) = ask_with(&format!("{START}{offer}\r\n"), &ours(have), None).await;
        assert!(result.is_ok(), "{offer}");
        let line = answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(line, agreed, "{offer} to {have:?}");
    }
}

#[tokio::test]
async fn what_comes_with_the_request_is_read_first() {
    let (result, answer) = ask(&format!("{START}\r\nfirst frame"), &Origins::SameHost, None).await;
    assert_eq!(result.unwrap().1, b"first frame");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");

    let (mut client, server) = tcp().await;
    client.write_all(format!("{START}\r\nearly, ").as_bytes()).await.unwrap();
    let upgraded = Upgrade::read(server, &game(&Origins::SameHost), None, soon()).await.unwrap().agree(soon()).await.unwrap();
    let mut server = Stream::from(upgraded.stream).with_ahead(upgraded.ahead);
    client.write_all(b"late").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read(&mut server.reader).await.unwrap(), b"early, ");
    assert!(matches!(server.reader, Reader::Tcp(_)), "what was read takes no memory and no detour any more");
    assert_eq!(read_to_end(&mut server.reader).await.unwrap(), b"late");
}

#[tokio::test]
async fn a_refusal_is_read_even_if_the_client_sent_more() {
    let (mut client, server) = tcp().await;
    client.write_all(format!("POST / HTTP/1.1\r\n\r\n{}", "x".repeat(100_000)).as_bytes()).await.unwrap();
    let refused = tokio::spawn(async move { Upgrade::read(server, &game(&Origins::Any), None, soon()).await.is_err() });
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("no reset");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    drop(client);
    assert!(refused.await.unwrap());
}

#[tokio::test]
async fn origins_are_asked_and_clients_without_one_are_not() {
    let listed = Origins::List(vec!["https://play.example".parse().unwrap()]);
    let null = Origins::List(vec![Origin::Null]);
    for (origins, header, agreed) in [
        (&Origins::SameHost, "", true),
        (&Origins::SameHost, "Origin: https://game.example\r\n", true),
        (&Origins::SameHost, "Origin: null\r\n", false),
        (&Origins::SameHost, "origin: https://game.example\r\nOrigin: https://evil.example\r\n", false),
        (&Origins::SameHost, "Origin: https://game.example\u{e9}\r\n", false),
        (&listed, "", true),
        (&listed, "Origin: https://play.example\r\n", true),
        (&listed, "Origin: https://game.example\r\n", false),
        (&listed, "Origin: null\r\n", false),
        (&null, "Origin: null\r\n", true),
        (&null, "Origin: https://game.example\r\n", false),
        (&Origins::Any, "Origin: https://evil.example\r\n", true),
    ] {
        let (result, answer) = ask(&format!("{START}{header}\r\n"), origins, None).await;
        assert_eq!(result.is_ok(), agreed, "{header}");
        assert!(answer.starts_with(if agreed { "HTTP/1.1 101 " } else { "HTTP/1.1 403 " }), "{answer}");
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_says_for_whom_it_speaks() {
    let proxies = Networks::parse(["10.0.0.0/8"]).unwrap();
    let request = format!("{START}X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 192.0.2.7, 10.1.1.1\r\n\r\n");
    let client: IpAddr = "192.0.2.7".parse().unwrap();
    assert_eq!(ask(&request, &Origins::SameHost, Some(&proxies)).await.0.unwrap().0, Some(client));
    assert_eq!(ask(&request, &Origins::SameHost, None).await.0.unwrap().0, None);
    let garbage = format!("{START}X-Forwarded-For: 192.0.2.7, <script>\r\n\r\n");
    assert_eq!(ask(&garbage, &Origins::SameHost, Some(&proxies)).await.0.unwrap().0, None);
}

#[tokio::test]
async fn a_request_may_come_in_single_bytes_but_not_for_ever() {
    let (mut client, server) = duplex(1);
    let request = format!("{START}\r\n");
    let ask = async {
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        answer
    };
    let serve = async { Upgrade::read(server, &game(&Origins::Any), None, soon()).await?.agree(soon()).await.map(drop) };
    let (upgraded, answer) = tokio::join!(serve, ask);
    assert!(upgraded.is_ok() && &answer == b"HTTP/1.1 101");

    let (mut client, server) = duplex(1 << 10);
    client.write_all(START.as_bytes()).await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(50);
    assert!(matches!(Upgrade::read(server, &game(&Origins::Any), None, deadline).await, Err(UpgradeError::Timeout)));

    let (client, server) = duplex(1 << 10);
    drop(client);
    assert!(matches!(Upgrade::read(server, &game(&Origins::Any), None, soon()).await, Err(UpgradeError::Lost(_))));
}

#[tokio::test]
async fn a_websocket_over_tls_is_upgraded_by_a_real_client() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    for version in [&TLS13, &TLS12] {
        let (client, server) = handshake(&pki.connector(&[version]), &tls).await.unwrap();
        let connect = tokio_tungstenite::client_async("wss://localhost/game", client);
        let options = game(&Origins::SameHost);
        let serve = async { Upgrade::read(server, &options, None, soon()).await?.agree(soon()).await };
        let (client, upgraded) = tokio::join!(connect, serve);
        let mut client = client.unwrap().0.into_inner();
        let mut server = Stream::from(upgraded.unwrap().stream);
        client.write_all(b"frame").await.unwrap();
        assert_eq!(read(&mut server.reader).await.unwrap(), b"frame");
        write_all(&server.writer, b"answer").await.unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }
}

#[tokio::test]
async fn a_refusal_over_tls_ends_with_a_good_bye() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    let (mut client, server) = handshake(&pki.connector(&[&TLS13]), &tls).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let options = game(&Origins::SameHost);
    let hear = async {
        let read = client.read_to_string(&mut answer).await;
        drop(client);
        read
    };
    let (result, read) = tokio::join!(Upgrade::read(server, &options, None, soon()), hear);
    assert!(result.is_err() && answer.starts_with("HTTP/1.1 426 "), "{answer}");
    read.expect("no end without a good-bye");
}

#[tokio::test]
async fn a_request_that_is_half_there_when_the_process_stalls_may_be_finished_after_it() {
    let (mut client, server) = duplex(64 << 10);
    client.write_all(START.as_bytes()).await.unwrap();
    let client = tokio::spawn(async move {
        // The only thread stands still for longer than the deadline.
        std::thread::park_timeout(Duration::from_millis(700));
        client.write_all(b"\r\n").await.unwrap();
        client
    });
    let deadline = Instant::now() + Duration::from_millis(100);
    let asked = Upgrade::read(server, &game(&Origins::SameHost), None, deadline).await;
    assert!(asked.is_ok(), "{asked:?}");
    drop(client.await.unwrap());
}
