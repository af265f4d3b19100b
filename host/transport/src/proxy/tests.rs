//! Headers by hand: good, cut off at every place, and random.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

fn v2(version: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([version, family]);
    header.extend((rest.len() as u16).to_be_bytes());
    header.extend(rest);
    header
}

/// Good headers and what they say.
fn good() -> Vec<(Vec<u8>, Option<SocketAddr>)> {
    let some = |text: &str| Some(text.parse().expect("address"));
    let v4 = [&[192, 0, 2, 7, 10, 0, 0, 1], &[0x1f, 0x90, 0x01, 0xbb][..]].concat();
    let v6 = |source: &str| {
        let source: Ipv6Addr = source.parse().expect("address");
        [&source.octets()[..], &Ipv6Addr::LOCALHOST.octets(), &[0xff, 0xff, 0x01, 0xbb]].concat()
    };
    let extended = [&v4[..], &[0x04, 0x01, 0x00], &[0; 256]].concat();
    let longest = [&v4[..], &[0; V2_BYTES_MAX - 12]].concat();
    vec![
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 443\r\n".to_vec(), some("192.0.2.7:8080")),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n".to_vec(), some("1.2.3.4:0")),
        (b"PROXY TCP6 2001:db8::7 ::1 65535 443\r\n".to_vec(), some("[2001:db8::7]:65535")),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 443\r\n".to_vec(), some("192.0.2.7:1")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (format!("PROXY UNKNOWN {0} {0} 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").into_bytes(), None),
        (v2(0x21, 0x11, &v4), some("192.0.2.7:8080")),
        (v2(0x21, 0x11, &extended), some("192.0.2.7:8080")),
        (v2(0x21, 0x11, &longest), some("192.0.2.7:8080")),
        (v2(0x21, 0x21, &v6("2001:db8::7")), some("[2001:db8::7]:65535")),
        (v2(0x21, 0x21, &v6("::ffff:192.0.2.7")), some("192.0.2.7:65535")),
        (v2(0x20, 0x00, &[]), None),
        (v2(0x20, 0x11, &v4), None),
        (v2(0x21, 0x00, &[1, 2, 3]), None),
        (v2(0x21, 0x31, &[0; 216]), None),
    ]
}

fn bad() -> Vec<Vec<u8>> {
    let line = |text: &str| text.as_bytes().to_vec();
    vec![
        line("GET / HTTP/1.1\r\n\r\n"),
        line("PROXY TCP4 192.0.2.7 10.0.0.1 8080 443\n"),
        line("PROXY TCP4 192.0.2.7 10.0.0.1 8080\r\n"),
        line("PROXY TCP4 192.0.2.7 10.0.0.1 8080 443 1\r\n"),
        line("PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n"),
        line("PROXY TCP4 192.0.2.7 10.0.0.1 +80 443\r\n"),
        line("PROXY TCP4  192.0.2.7 10.0.0.1 80 443\r\n"),
        line("PROXY TCP4 ::1 ::1 80 443\r\n"),
        line("PROXY TCP6 192.0.2.7 10.0.0.1 80 443\r\n"),
        line("PROXY TCP4 192.0.2.007 10.0.0.1 80 443\r\n"),
        line("PROXY UDP4 192.0.2.7 10.0.0.1 80 443\r\n"),
        line("PROXY unknown\r\n"),
        line("PROXY UNKNOWN \u{0}\n"),
        line(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_BYTES_MAX))),
        b"PROXY TCP4 \xff\xff\xff\xff\r\n".to_vec(),
        v2(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0x1f, 0x90, 0x01]),
        v2(0x21, 0x21, &[0; 35]),
        v2(0x11, 0x11, &[0; 12]),
        v2(0x22, 0x11, &[0; 12]),
        v2(0x21, 0x41, &[0; 12]),
        v2(0x21, 0x11, &[0; V2_BYTES_MAX + 1]),
        [&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat(),
    ]
}

/// What a real socket makes of bytes that come in two parts and then end; and what is left behind them.
async fn over_a_socket(first: &[u8], second: &[u8]) -> (Result<Option<SocketAddr>, ProxyError>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
    let (mut server, _) = listener.accept().await.expect("accepted");
    client.set_nodelay(true).expect("option");
    client.write_all(first).await.expect("sent");
    let writing = async {
        // The other half comes when the first one was looked at.
        tokio::task::yield_now().await;
        client.write_all(second).await.expect("sent");
        client.shutdown().await.expect("ended");
    };
    let (result, ()) = tokio::join!(read_proxy_header(&mut server, Instant::now() + Duration::from_secs(10)), writing);
    let mut rest = Vec::new();
    if result.is_ok() {
        server.read_to_end(&mut rest).await.expect("readable");
    }
    (result, rest)
}

#[tokio::test]
async fn good_headers_give_their_client_and_nothing_behind_them_is_taken() {
    for (header, expected) in good() {
        for cut in 0..=header.len() {
            let (first, second) = header.split_at(cut);
            let second = [second, b"\r\nfirst packet\n"].concat();
            let (result, rest) = over_a_socket(first, &second).await;
            assert_eq!(result.expect("header"), expected, "{}", header.escape_ascii());
            assert_eq!(rest, b"\r\nfirst packet\n", "{}", header.escape_ascii());
        }
    }
}

#[tokio::test]
async fn a_header_that_is_cut_off_is_an_error_wherever_it_is_cut() {
    for (header, _) in good() {
        for length in 0..header.len() {
            let (result, _) = over_a_socket(&header[..length], &[]).await;
            assert!(matches!(result, Err(ProxyError::Lost(_))), "{}", header[..length].escape_ascii());
        }
    }
}

#[tokio::test]
async fn bad_headers_are_errors() {
    for header in bad() {
        let (result, _) = over_a_socket(&header, &[]).await;
        assert!(matches!(result, Err(ProxyError::Malformed(_))), "{}: {result:?}", header.escape_ascii());
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
    let (mut server, _) = listener.accept().await.expect("accepted");
    client.write_all(b"PROXY TCP4 192.").await.expect("sent");
    let result = read_proxy_header(&mut server, Instant::now() + Duration::from_millis(50)).await;
    assert!(matches!(result, Err(ProxyError::Timeout)), "{result:?}");
}

proptest! {
    #[test]
    fn random_lines_never_panic(line in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = parse_v1(&line);
        let _ = parse_v1(&[WORD, &line, b"\r\n"].concat());
    }

    #[test]
    fn lines_of_random_words_never_panic(words in "PROXY (TCP4|TCP6|UNKNOWN|)[ 0-9a-f.:]{0,80}\r\n") {
        let _ = parse_v1(words.as_bytes());
    }

    #[test]
    fn random_binary_headers_never_panic(fixed in any::<[u8; 4]>(), rest in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse_v2(fixed, &rest);
        for version in [0x20, 0x21] {
            for family in [0x11, 0x21, 0x31] {
                let _ = parse_v2([version, family, fixed[2], fixed[3]], &rest);
            }
        }
        prop_assert!(v2_bytes(fixed).is_ok_and(|bytes| bytes <= V2_BYTES_MAX) || u16::from_be_bytes([fixed[2], fixed[3]]) > 520);
    }

    #[test]
    fn every_address_survives_both_versions(source: [u8; 16], port: u16, v6: bool) {
        let ip = if v6 { IpAddr::from(source) } else { IpAddr::from([source[0], source[1], source[2], source[3]]) };
        let expected = Some(SocketAddr::new(ip.to_canonical(), port));
        let (family, code, other, octets) = match ip {
            IpAddr::V4(v4) => ("TCP4", 0x11, "0.0.0.0", v4.octets().to_vec()),
            IpAddr::V6(v6) => ("TCP6", 0x21, "::", v6.octets().to_vec()),
        };
        let line = format!("PROXY {family} {ip} {other} {port} 1\r\n");
        prop_assert_eq!(parse_v1(line.as_bytes()).expect("line"), expected);
        let rest = [&octets[..], &vec![0; octets.len()], &port.to_be_bytes(), &[0, 1]].concat();
        prop_assert_eq!(parse_v2([0x21, code, 0, 0], &rest).expect("header"), expected);
    }
}
