//! Streams: everything arrives, whatever the other side's pace, and ends are seen.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::task::Poll;

use duet_transport::{Reader, Stream, Tls, Writer};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::pki::{Pki, handshake, tcp};

/// What one read brings; nothing at the end.
pub(crate) async fn read(reader: &mut Reader) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 31 << 10];
    let filled = poll_fn(|cx| {
        let mut buf = ReadBuf::new(&mut bytes);
        reader.poll_read(cx, &mut buf).map_ok(|()| buf.filled().len())
    })
    .await?;
    bytes.truncate(filled);
    Ok(bytes)
}

pub(crate) async fn read_to_end(reader: &mut Reader) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        match read(reader).await? {
            bytes if bytes.is_empty() => return Ok(all),
            bytes => all.extend(bytes),
        }
    }
}

/// Writes all, and waits until nothing is held back. Says how often the socket was full.
pub(crate) async fn write_all(writer: &Writer, mut data: &[u8]) -> io::Result<usize> {
    let mut blocked = 0;
    poll_fn(|cx| {
        loop {
            let tried = match data {
                [] => writer.try_flush().map(|all| all.then_some(0)),
                [one] => writer.try_write(&[*one]).map(Some),
                _ => {
                    let (first, second) = data.split_at(data.len() / 3);
                    writer.try_write_vectored(&[IoSlice::new(first), IoSlice::new(second)]).map(Some)
                }
            };
            match tried {
                Ok(Some(_)) if data.is_empty() => return Poll::Ready(Ok(())),
                Ok(Some(written)) => {
                    assert!(written > 0);
                    data = &data[written..];
                    continue;
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            blocked += 1;
            match writer.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
    })
    .await?;
    Ok(blocked)
}

/// A megabyte whose parts all differ.
fn megabyte(seed: u32) -> Vec<u8> {
    (0..1_u32 << 18).flat_map(|n| (n ^ seed).wrapping_mul(0x9e37_79b1).to_le_bytes()).collect()
}

/// Reads slowly on the client's side, with small reads in between, while it writes as well.
async fn both_directions(client: impl AsyncRead + AsyncWrite, mut server: Stream) -> usize {
    let (up, down) = (megabyte(1), megabyte(2));
    let (mut client_reads, mut client_writes) = tokio::io::split(client);
    let (blocked, received, sent, answer) = tokio::join!(
        async {
            let blocked = write_all(&server.writer, &down).await.unwrap();
            server.writer.shutdown().unwrap();
            blocked
        },
        read_to_end(&mut server.reader),
        async {
            client_writes.write_all(&up).await?;
            client_writes.shutdown().await
        },
        async {
            let mut answer = Vec::<u8>::new();
            for size in (1_usize..2000).cycle() {
                let mut part = vec![0; size];
                match client_reads.read(&mut part).await.unwrap() {
                    0 => break,
                    n => answer.extend(&part[..n]),
                }
                tokio::task::yield_now().await;
            }
            answer
        },
    );
    sent.unwrap();
    assert!(received.unwrap() == up, "what the client sent");
    assert!(answer == down, "what the server sent");
    blocked
}

#[tokio::test]
async fn a_megabyte_in_both_directions_at_once_is_intact_over_tls_to_a_slow_reader() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    for version in [&TLS13, &TLS12] {
        let (client, server) = handshake(&pki.connector(&[version]), &tls).await.unwrap();
        socket2::SockRef::from(server.get_ref().0).set_send_buffer_size(8 << 10).unwrap();
        let blocked = both_directions(client, server.into()).await;
        assert!(blocked > 3, "the socket was full {blocked} times: that proves nothing");
    }
}

#[tokio::test]
async fn a_megabyte_in_both_directions_at_once_is_intact_over_tcp() {
    let (client, server) = tcp().await;
    both_directions(client, server.into()).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_what_is_taken() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    let (mut client, server) = handshake(&pki.connector(&[&TLS13]), &tls).await.unwrap();
    let server = Stream::from(server);
    let data = megabyte(3);
    let mut taken = 0;
    loop {
        match server.writer.try_write(&data) {
            // Never more than 64 KiB at once: that is how much can be held.
            Ok(n) => {
                taken += {
                    assert!(n > 0 && n <= 64 << 10);
                    n
                }
            }
            Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(taken < 64 << 20, "it takes for ever");
    }
    assert!(!server.writer.try_flush().unwrap());
    assert_eq!(server.writer.shutdown().unwrap_err().kind(), ErrorKind::WouldBlock, "held bytes are not cut off");
    let drain = async {
        let mut received = 0;
        let mut part = vec![0; 64 << 10];
        while let n @ 1.. = client.read(&mut part).await.unwrap() {
            received += n;
        }
        received
    };
    let end = async {
        while !server.writer.try_flush().unwrap() {
            poll_fn(|cx| server.writer.poll_write_ready(cx)).await.unwrap();
        }
        server.writer.shutdown().unwrap();
    };
    let (received, ()) = tokio::join!(drain, end);
    assert_eq!(received, taken, "what was taken arrived, and nothing of the good-bye was cut off");
}

#[tokio::test]
async fn small_buffers_lose_nothing_of_large_records() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    for size in [1, 7, 1000, 4096, 5000, 16_384] {
        let (mut client, server) = handshake(&pki.connector(&[&TLS13]), &tls).await.unwrap();
        let mut server = Stream::from(server);
        let sent = &megabyte(4)[..100_000];
        let receive = async {
            let (mut all, mut part) = (Vec::<u8>::new(), vec![0; size]);
            loop {
                let filled = poll_fn(|cx| {
                    let mut buf = ReadBuf::new(&mut part);
                    server.reader.poll_read(cx, &mut buf).map_ok(|()| buf.filled().len())
                });
                match filled.await.unwrap() {
                    0 => return all,
                    filled => all.extend(&part[..filled]),
                }
            }
        };
        let send = async {
            client.write_all(sent).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let (received, ()) = tokio::join!(receive, send);
        assert!(received == sent, "with reads of {size} bytes");
    }
}

#[tokio::test]
async fn a_socket_that_ends_without_a_word_is_the_end_and_no_error() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    let (mut client, server) = handshake(&pki.connector(&[&TLS13]), &tls).await.unwrap();
    let mut server = Stream::from(server);
    client.write_all(b"last words").await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
    assert_eq!(read(&mut server.reader).await.unwrap(), b"last words");
    assert_eq!(read(&mut server.reader).await.unwrap(), b"");
    assert_eq!(read(&mut server.reader).await.unwrap(), b"");
}

#[tokio::test]
async fn new_keys_are_taken_and_given_in_the_middle_of_the_traffic() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    let (mut client, server) = handshake(&pki.connector(&[&TLS13]), &tls).await.unwrap();
    let mut server = Stream::from(server);
    for round in 0..20_u8 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(&[round]).await.unwrap();
        assert_eq!(read(&mut server.reader).await.unwrap(), [round]);
        write_all(&server.writer, &[round]).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), round);
    }
}

#[tokio::test]
async fn bytes_that_are_no_records_end_the_connection() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    // A record of a wrong key, an unknown record, one that is too long, many empty ones in clear text.
    let mut forged = vec![0x17, 3, 3, 0, 32];
    forged.extend([0xaa; 32]);
    for garbage in [forged, vec![0xff; 64], vec![0x17, 3, 3, 0xff, 0xff, 0], [0x17, 3, 3, 0, 0].repeat(1000)] {
        let (mut client, server) = handshake(&pki.connector(&[&TLS13]), &tls).await.unwrap();
        let mut server = Stream::from(server);
        client.get_mut().0.write_all(&garbage).await.unwrap();
        assert_eq!(read(&mut server.reader).await.unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(client.read(&mut [0; 16]).await.is_err(), "the client got an alert");
    }
}

#[tokio::test]
async fn any_thread_may_write_and_order_is_kept_within_one() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    let (mut client, server) = handshake(&pki.connector(&[&TLS13]), &tls).await.unwrap();
    let server = Stream::from(server);
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let writer = &server.writer;
            scope.spawn(move || (0..100_u8).for_each(|n| assert_eq!(writer.try_write(&[thread, n]).unwrap(), 2)));
        }
    });
    let mut received = vec![0; 800];
    client.read_exact(&mut received).await.unwrap();
    for thread in 0..4 {
        let numbers: Vec<u8> = received.chunks(2).filter(|pair| pair[0] == thread).map(|pair| pair[1]).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
    }
}

#[tokio::test]
async fn what_is_insisted_on_goes_out_although_nobody_was_told_that_there_is_room() {
    let pki = Pki::new();
    let tls = Tls::new(pki.identity()).unwrap();
    let (client, server) = handshake(&pki.connector(&[&TLS13]), &tls).await.unwrap();
    let (plain_client, plain_server) = tcp().await;
    for (client, server) in [(client.get_ref().0, Stream::from(server)), (&plain_client, plain_server.into())] {
        let data = megabyte(3);
        let fill = || while server.writer.try_write(&data).is_ok() {};
        fill();
        // The client takes all of it while the runtime, which would notice the room, has no turn.
        let mut part = [std::mem::MaybeUninit::uninit(); 65_536];
        while socket2::SockRef::from(client).recv(&mut part).is_ok_and(|bytes| bytes > 0) {}
        assert_eq!(server.writer.try_write(&data).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(server.writer.insist(&data).unwrap() > 0);
    }
}
