//! [`Client`] over all transports.

use std::time::Duration;

use duet_client::{Client, ClientError, ClientOptions, CloseReason, Endpoint, Incoming, KcpOptions, Reply, Trust};
use duet_codec::{ByteOrder, Format, Profile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use duet_testkit::scripted::*;

const LONG: Duration = Duration::from_secs(20);

async fn connect(server: &Scripted, format: Format) -> Client {
    Client::connect(&server.endpoint, format, ClientOptions { dial_timeout: LONG, ..server.options() }).await.unwrap()
}

async fn listener() -> (TcpListener, Endpoint, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, format!("tcp://{address}").parse().unwrap(), format!("ws://{address}").parse().unwrap())
}

#[tokio::test]
async fn requests_are_answered_in_every_profile_order_and_transport() {
    for scheme in SCHEMES {
        for profile in [Profile::Due2, Profile::Seed] {
            for order in [ByteOrder::Big, ByteOrder::Little] {
                for seq_bytes in [1, 2, 4] {
                    let format = format(profile, order, seq_bytes);
                    let server = scripted(scheme, format).await;
                    let client = connect(&server, format).await;
                    for seq in 1..=3 {
                        let reply = client.request(ECHO, b"hello", LONG).await.unwrap();
                        assert_eq!(reply, Reply { route: ECHO, seq, body: "hello".into() }, "{scheme} {format:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn an_error_packet_refuses_its_request() {
    let server = scripted("ws", usual()).await;
    let client = connect(&server, usual()).await;
    match client.request(REFUSED, b"", LONG).await {
        Err(ClientError::Refused { code: 404, message }) => assert_eq!(message, "it's no \"such\" thing"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_find_their_requests_in_any_order() {
    for scheme in SCHEMES {
        let server = scripted(scheme, usual()).await;
        let client = connect(&server, usual()).await;
        let (first, second) = tokio::join!(client.request(SWAPPED, b"first", LONG), client.request(SWAPPED, b"second", LONG));
        assert_eq!((&first.unwrap().body[..], &second.unwrap().body[..]), (&b"first"[..], &b"second"[..]));
    }
}

#[tokio::test]
async fn what_nobody_asked_for_is_received() {
    for scheme in SCHEMES {
        let server = scripted(scheme, usual()).await;
        let mut client = connect(&server, usual()).await;
        client.request(PUSHING, b"", LONG).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Incoming::Push { route: 30, body: "news".into() });
        client.send(ECHO, 77, b"sent").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Incoming::Reply(Reply { route: ECHO, seq: 77, body: "sent".into() }));
        client.send(REFUSED, -5, b"").await.unwrap();
        let error = Incoming::Error { route: REFUSED, seq: -5, code: 404, message: "it's no \"such\" thing".to_owned() };
        assert_eq!(client.recv().await.unwrap(), error);
    }
}

#[tokio::test]
async fn a_request_without_an_answer_times_out_and_the_connection_goes_on() {
    let server = scripted("tcp", usual()).await;
    let client = connect(&server, usual()).await;
    let unanswered = client.request(SILENT, b"", Duration::from_millis(5)).await;
    assert!(matches!(unanswered, Err(ClientError::Timeout { route: SILENT })));
    assert_eq!(client.request(ECHO, b"", LONG).await.unwrap().seq, 2);
}

#[tokio::test]
async fn an_answer_after_the_timeout_is_received() {
    let server = scripted("tcp", usual()).await;
    let mut client = connect(&server, usual()).await;
    assert!(client.request(SWAPPED, b"late", Duration::from_millis(5)).await.is_err());
    client.request(SWAPPED, b"", LONG).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Incoming::Reply(Reply { route: SWAPPED, seq: 1, body: "late".into() }));
}

#[tokio::test]
async fn the_close_code_of_the_server_is_told_to_requests_and_receivers() {
    let server = scripted("ws", usual()).await;
    let mut client = connect(&server, usual()).await;
    let kicked = CloseReason::CloseFrame { code: 4001, reason: "kicked".to_owned() };
    match client.request(CLOSING, b"", LONG).await {
        Err(ClientError::Closed(reason)) => assert_eq!((reason.close_code(), &reason), (Some(4001), &kicked)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.recv().await, Err(ClientError::Closed(reason)) if reason == kicked));
    assert!(matches!(client.request(ECHO, b"", LONG).await, Err(ClientError::Closed(reason)) if reason == kicked));
}

#[tokio::test]
async fn bodies_of_many_segments_arrive_whole_over_kcp() {
    let format = Format::new(Profile::Due2, ByteOrder::Big, 2, 2, 1 << 20).unwrap();
    let server = scripted("kcp", format).await;
    let kcp = KcpOptions { mtu: 500, ..KcpOptions::default() };
    let client = Client::connect(&server.endpoint, format, ClientOptions { kcp, ..server.options() }).await.unwrap();
    let body: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    assert!(client.request(ECHO, &body, LONG).await.unwrap().body == body);
}

#[tokio::test]
async fn a_farewell_is_the_end_over_kcp_which_has_no_other() {
    let server = scripted("kcp", usual()).await;
    let mut client = connect(&server, usual()).await;
    client.send(KICKING, 1, b"").await.unwrap();
    assert!(matches!(client.recv().await.unwrap(), Incoming::Error { code: 12, .. }));
    let kicked = CloseReason::Kicked("cheater".to_owned());
    assert!(matches!(client.recv().await, Err(ClientError::Closed(reason)) if reason == kicked));
}

#[tokio::test]
async fn a_datagram_size_that_kcp_cannot_have_is_refused() {
    let server = scripted("kcp", usual()).await;
    for mtu in [49, 1_501] {
        let kcp = KcpOptions { mtu, ..KcpOptions::default() };
        let refused = Client::connect(&server.endpoint, usual(), ClientOptions { kcp, ..server.options() }).await;
        assert!(matches!(refused, Err(ClientError::Dial { .. })), "{mtu}");
    }
}

#[tokio::test]
async fn a_certificate_has_to_be_trusted_unless_any_is_asked_for() {
    for scheme in ["tls", "wss"] {
        let server = scripted(scheme, usual()).await;
        let connect = |trust| Client::connect(&server.endpoint, usual(), ClientOptions { trust, ..ClientOptions::default() });
        let refused = connect(Trust::WebRoots).await;
        assert!(matches!(&refused, Err(ClientError::Dial { source, .. }) if source.to_string().contains("certificate")), "{refused:?}");
        let client = connect(Trust::AcceptAnyCertificate).await.unwrap();
        assert_eq!(client.request(ECHO, b"hello", LONG).await.unwrap().body, "hello");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let server = scripted("tls", usual()).await;
    let endpoint = server.endpoint.to_string().replace("localhost", "127.0.0.1").parse().unwrap();
    let refused = Client::connect(&endpoint, usual(), server.options()).await;
    assert!(matches!(&refused, Err(ClientError::Dial { source, .. }) if source.to_string().contains("not valid for name")), "{refused:?}");
}

#[tokio::test]
async fn a_file_without_a_certificate_is_refused() {
    let server = scripted("tls", usual()).await;
    let empty = tempfile::NamedTempFile::new().unwrap();
    for file in [empty.path(), "no/such/file".as_ref()] {
        let options = ClientOptions { trust: Trust::Authorities(file.to_owned()), ..ClientOptions::default() };
        let refused = Client::connect(&server.endpoint, usual(), options).await;
        assert!(matches!(&refused, Err(ClientError::Trust(why)) if why.contains(file.to_str().unwrap())), "{refused:?}");
    }
}

#[tokio::test]
async fn the_end_of_a_tcp_stream_ends_requests() {
    let server = scripted("tcp", usual()).await;
    let client = connect(&server, usual()).await;
    let closed = client.request(CLOSING, b"", LONG).await;
    assert!(matches!(closed, Err(ClientError::Closed(CloseReason::EndOfStream))), "{closed:?}");
}

#[tokio::test]
async fn closing_is_polite_on_every_transport() {
    let normal = || CloseReason::CloseFrame { code: 1000, reason: String::new() };
    for (scheme, reason) in [
        ("tcp", CloseReason::EndOfStream),
        ("tls", CloseReason::EndOfStream),
        ("ws", normal()),
        ("wss", normal()),
        ("kcp", CloseReason::Local),
    ] {
        let server = scripted(scheme, usual()).await;
        let client = connect(&server, usual()).await;
        client.request(ECHO, b"", LONG).await.unwrap();
        assert_eq!(client.close().await, reason);
    }
}

#[tokio::test]
async fn heartbeats_go_out_by_themselves_and_come_in_with_their_time() {
    for scheme in SCHEMES {
        let server = scripted(scheme, usual()).await;
        let options = ClientOptions { heartbeat_interval: Some(Duration::from_millis(5)), ..server.options() };
        let mut client = Client::connect(&server.endpoint, usual(), options).await.unwrap();
        for _ in 0..2 {
            assert_eq!(client.recv().await.unwrap(), Incoming::Heartbeat { time: Some(Duration::from_millis(1_234)) });
        }
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up_if_asked_for() {
    let server = scripted("tcp", usual()).await;
    let options = ClientOptions { silence_timeout: Some(Duration::from_millis(5)), ..ClientOptions::default() };
    let mut client = Client::connect(&server.endpoint, usual(), options).await.unwrap();
    assert!(matches!(client.recv().await, Err(ClientError::Closed(CloseReason::Silent))));
}

#[tokio::test]
async fn a_packet_above_the_limit_ends_the_connection() {
    for scheme in SCHEMES {
        let server = scripted(scheme, usual()).await;
        let client = connect(&server, usual()).await;
        let ended = client.request(OVERSIZE, b"", LONG).await;
        assert!(matches!(ended, Err(ClientError::Closed(CloseReason::Malformed(_)))), "{ended:?}");
    }
}

#[tokio::test]
async fn a_full_inbox_drops_pushes_and_never_holds_up_answers() {
    let server = scripted("tcp", usual()).await;
    let options = ClientOptions { inbox_packets_max: 1, ..ClientOptions::default() };
    let mut client = Client::connect(&server.endpoint, usual(), options).await.unwrap();
    for _ in 0..10 {
        client.request(PUSHING, b"", LONG).await.unwrap();
    }
    assert_eq!(client.dropped(), 9);
    assert!(matches!(client.recv().await, Ok(Incoming::Push { .. })));
}

#[tokio::test]
async fn a_format_without_a_seq_sends_but_has_no_requests() {
    let format = format(Profile::Due2, ByteOrder::Big, 0);
    let server = scripted("tcp", format).await;
    let mut client = connect(&server, format).await;
    assert!(matches!(client.request(ECHO, b"", LONG).await, Err(ClientError::NoSeq)));
    client.send(ECHO, client.next_seq(), b"x").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Incoming::Push { route: ECHO, body: "x".into() });
}

#[tokio::test]
async fn what_does_not_fit_the_format_is_not_sent() {
    let server = scripted("tcp", usual()).await;
    let client = connect(&server, usual()).await;
    assert!(matches!(client.send(40_000, 1, b"").await, Err(ClientError::Encode(_))));
    assert!(matches!(client.request(ECHO, &[0; 5_000], LONG).await, Err(ClientError::Encode(_))));
    assert!(client.request(ECHO, b"", LONG).await.is_ok());
}

#[tokio::test]
async fn nobody_there_is_a_dial_error() {
    let (listener, endpoint, _) = listener().await;
    drop(listener);
    let refused = Client::connect(&endpoint, usual(), ClientOptions::default()).await;
    assert!(matches!(refused, Err(ClientError::Dial { .. })));
}

#[tokio::test]
async fn an_upgrade_without_an_answer_ends_at_the_dial_timeout() {
    let (_listener, _, endpoint) = listener().await;
    let options = ClientOptions { dial_timeout: Duration::from_millis(20), ..ClientOptions::default() };
    assert!(matches!(Client::connect(&endpoint, usual(), options).await, Err(ClientError::DialTimeout { .. })));
}

#[tokio::test]
async fn a_refused_upgrade_names_its_status() {
    let (listener, _, endpoint) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4_096];
        let count = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(request[..count].to_vec()).unwrap()
    });
    let refused = Client::connect(&endpoint, usual(), ClientOptions::default()).await;
    assert!(matches!(refused, Err(ClientError::Upgrade { source, .. }) if source.to_string().contains("403")));
    assert!(server.await.unwrap().starts_with("GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_text_message_of_the_server_ends_the_connection() {
    use futures_util::SinkExt;
    let (listener, _, endpoint) = listener().await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.send("hello".into()).await.unwrap();
        socket
    });
    let mut client = Client::connect(&endpoint, usual(), ClientOptions::default()).await.unwrap();
    assert!(matches!(client.recv().await, Err(ClientError::Closed(CloseReason::Malformed(_)))));
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_server_that_stops_reading_is_given_up_at_the_write_timeout() {
    let (listener, endpoint, _) = listener().await;
    let format = Format::new(Profile::Due2, ByteOrder::Big, 2, 2, 1 << 20).unwrap();
    let options = ClientOptions { write_timeout: Duration::from_millis(20), ..ClientOptions::default() };
    let mut client = Client::connect(&endpoint, format, options).await.unwrap();
    let _held = listener.accept().await.unwrap();
    let body = vec![0; 1 << 20];
    while client.send(1, 1, &body).await.is_ok() {}
    assert!(matches!(client.recv().await, Err(ClientError::Closed(CloseReason::WriteTimeout))));
}
