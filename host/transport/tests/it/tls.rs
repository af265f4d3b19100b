//! The handshake: who comes through, what a reload changes, and who is let go.

use std::time::{Duration, Instant};

use duet_transport::{Stream, Tls, TlsAcceptError};
use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::pki::{Pki, handshake, tcp};
use crate::stream::{read, read_to_end, write_all};

#[tokio::test]
async fn clients_of_both_versions_are_served() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let (mut client, server) = handshake(&pki.connector(&[version]), &tls).await.unwrap();
        assert_eq!(client.get_ref().1.protocol_version(), Some(name));
        let mut server = Stream::from(server);
        client.write_all(b"ping").await.unwrap();
        assert_eq!(read(&mut server.reader).await.unwrap(), b"ping");
        write_all(&server.writer, b"pong").await.unwrap();
        server.writer.shutdown().unwrap();
        let mut answer = Vec::new();
        // Without a good-bye this would be an error.
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"pong");
        // Our side has ended, theirs has not.
        client.write_all(b"bye").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut server.reader).await.unwrap(), b"bye");
    }
}

#[tokio::test]
async fn a_reload_shows_the_new_certificate_and_open_connections_go_on() {
    let pki = Pki::new();
    let identity = pki.identity();
    let tls = Tls::new(identity.clone()).unwrap();
    let old_trust = pki.connector(&[&TLS13]);
    let (mut old, server) = handshake(&old_trust, &tls).await.unwrap();
    let mut server = Stream::from(server);

    pki.renew();
    let new_trust = pki.connector(&[&TLS13]);
    assert!(identity.changed());
    assert!(handshake(&pki.connector(&[&TLS13]), &tls).await.is_err_and(|e| e.to_string().contains("certificate")), "not reloaded yet");
    identity.reload().unwrap();

    let (new, _) = handshake(&new_trust, &tls).await.unwrap();
    assert_ne!(new.get_ref().1.peer_certificates(), old.get_ref().1.peer_certificates());
    for message in [b"one", b"two"] {
        old.write_all(message).await.unwrap();
        assert_eq!(read(&mut server.reader).await.unwrap(), message);
        write_all(&server.writer, message).await.unwrap();
        let mut answer = [0; 3];
        old.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, message);
    }
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_at_the_deadline() {
    let tls = Tls::new(Pki::new().identity()).unwrap();
    // Nothing; half a record header; a record that never ends; a whole record with half a greeting.
    for start in [&b""[..], &[0x16, 3, 1], &[0x16, 3, 1, 0x40, 0, 1], &[0x16, 3, 1, 0, 4, 1, 0, 0x80, 0]] {
        let (mut client, server) = tcp().await;
        client.write_all(start).await.unwrap();
        let deadline = Instant::now() + Duration::from_millis(100);
        let error = tls.accept(server, deadline).await.unwrap_err();
        assert!(matches!(error, TlsAcceptError::Timeout), "{error}");
        assert!(Instant::now() >= deadline);
        assert_eq!(client.read(&mut [0; 16]).await.unwrap_or(0), 0, "the socket is closed");
    }
}

#[tokio::test]
async fn trickled_bytes_do_not_move_the_deadline() {
    let tls = Tls::new(Pki::new().identity()).unwrap();
    let (mut client, server) = tcp().await;
    let trickle = async {
        let mut every = tokio::time::interval(Duration::from_millis(5));
        for byte in [0x16, 3, 1, 0x40, 0].into_iter().chain(std::iter::repeat_n(1, 16_000)) {
            every.tick().await;
            if client.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        panic!("nobody stopped it");
    };
    let (result, ()) = tokio::join!(tls.accept(server, Instant::now() + Duration::from_millis(200)), trickle);
    assert!(matches!(result, Err(TlsAcceptError::Timeout)));
}

#[tokio::test]
async fn what_is_no_tls_is_refused_with_an_alert() {
    let tls = Tls::new(Pki::new().identity()).unwrap();
    for hello in [&b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff, 1], &[0; 64]] {
        let (mut client, server) = tcp().await;
        client.write_all(hello).await.unwrap();
        let error = tls.accept(server, crate::pki::soon()).await.unwrap_err();
        assert!(matches!(error, TlsAcceptError::Failed(_)), "{error}");
        let mut answer = Vec::new();
        // The socket may end with a reset, because not all was read.
        let _ = client.read_to_end(&mut answer).await;
        assert_eq!(answer.first(), Some(&0x15), "an alert");
    }
}
