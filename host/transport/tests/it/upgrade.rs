//! The WebSocket handshake, byte by byte.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use duet_transport::{Networks, Origins, Stream, Tls, UpgradeError, Upgraded, upgrade};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::pki::{Pki, handshake, soon};
use crate::stream::{read, write_all};

const START: &str = "GET /game HTTP/1.1\r\nHost: game.example:3553\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What the server makes of a request, and what the client gets.
async fn ask(request: &str, origins: &Origins, proxies: Option<&Networks>) -> (Result<Upgraded<DuplexStream>, UpgradeError>, String) {
    let (mut client, server) = duplex(64 << 10);
    client.write_all(request.as_bytes()).await.unwrap();
    let mut result = upgrade(server, "/game", origins, proxies, soon()).await;
    if let Ok(upgraded) = &mut result {
        upgraded.stream.shutdown().await.unwrap();
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    (result, answer)
}

#[tokio::test]
async fn a_good_request_is_agreed_to() {
    let (result, answer) = ask(&format!("{START}\r\n"), &Origins::SameHost, None).await;
    assert_eq!(result.unwrap().forwarded, None);
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    // The example of RFC 6455.
    assert!(answer.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_a_reason() {
    let long = format!("{START}Cookie: {}\r\n\r\n", "x".repeat(8 << 10));
    let many = format!("{START}{}\r\n", "a: b\r\n".repeat(200));
    for (request, status) in [
        (format!("{START}\r\n").replace("/game", "/"), 404),
        (format!("{START}\r\n").replace("/game", "/game/"), 404),
        (format!("{START}Origin: https://evil.example\r\n\r\n"), 403),
        (format!("{START}\r\n").replace("Version: 13", "Version: 8"), 400),
        (format!("{START}\r\n").replace("GET", "POST"), 400),
        (format!("{START}\r\n").replace("dGhl", "d"), 400),
        (format!("{START}\r\nfirst frame"), 400),
        ("GET /game HTTP/1.1\r\nHost: game.example\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400),
        ("hello, is there a game?\n".to_owned(), 400),
        (many, 400),
        (long, 431),
    ] {
        let (result, answer) = ask(&request, &Origins::SameHost, None).await;
        let Err(UpgradeError::Refused { status: refused, text }) = result else { panic!("{request}: {result:?}") };
        assert_eq!(refused, status, "{request}: {text}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(&format!("\r\n\r\n{text}\n")), "{answer}");
        assert!(answer.contains(&format!("content-length: {}\r\n", text.len() + 1)), "{answer}");
    }
}

#[tokio::test]
async fn origins_are_asked_and_clients_without_one_are_not() {
    let listed = Origins::List(vec!["https://play.example".parse().unwrap()]);
    for (origins, header, agreed) in [
        (&Origins::SameHost, "", true),
        (&Origins::SameHost, "Origin: https://game.example\r\n", true),
        (&Origins::SameHost, "Origin: null\r\n", false),
        (&Origins::SameHost, "origin: https://game.example\r\nOrigin: https://evil.example\r\n", false),
        (&Origins::SameHost, "Origin: https://game.example\u{e9}\r\n", false),
        (&listed, "", true),
        (&listed, "Origin: https://play.example\r\n", true),
        (&listed, "Origin: https://game.example\r\n", false),
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
    assert_eq!(ask(&request, &Origins::SameHost, Some(&proxies)).await.0.unwrap().forwarded, Some(client));
    assert_eq!(ask(&request, &Origins::SameHost, None).await.0.unwrap().forwarded, None);
    let garbage = format!("{START}X-Forwarded-For: 192.0.2.7, <script>\r\n\r\n");
    assert_eq!(ask(&garbage, &Origins::SameHost, Some(&proxies)).await.0.unwrap().forwarded, None);
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
    let (upgraded, answer) = tokio::join!(async { upgrade(server, "/game", &Origins::Any, None, soon()).await.map(drop) }, ask);
    assert!(upgraded.is_ok() && &answer == b"HTTP/1.1 101");

    let (mut client, server) = duplex(1 << 10);
    client.write_all(START.as_bytes()).await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(50);
    assert!(matches!(upgrade(server, "/game", &Origins::Any, None, deadline).await, Err(UpgradeError::Timeout)));

    let (client, server) = duplex(1 << 10);
    drop(client);
    assert!(matches!(upgrade(server, "/game", &Origins::Any, None, soon()).await, Err(UpgradeError::Lost(_))));
}

#[tokio::test]
async fn a_websocket_over_tls_is_upgraded_by_a_real_client() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    for version in [&TLS13, &TLS12] {
        let (client, server) = handshake(&pki.connector(&[version]), &tls).await.unwrap();
        let connect = tokio_tungstenite::client_async("wss://localhost/game", client);
        let (client, upgraded) = tokio::join!(connect, upgrade(server, "/game", &Origins::SameHost, None, soon()));
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
    let (result, read) = tokio::join!(upgrade(server, "/game", &Origins::SameHost, None, soon()), client.read_to_string(&mut answer));
    assert!(result.is_err() && answer.starts_with("HTTP/1.1 400 "), "{answer}");
    read.expect("no end without a good-bye");
}
