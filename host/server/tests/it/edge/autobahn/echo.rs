//! An echo of WebSocket messages on the listener, the handshake, the streams and the frame layer of the server.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use duet_codec::ws::{Opcode, Role, WsDecoder, WsEvent, encode_close, encode_frame};
use duet_transport::{Listener, Stream, Upgrade, Upgraded, Writer, WsOptions};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// As much as a connection of the server reads at once.
const READ_BYTES: usize = 31 << 10;
/// The largest message of the suite has 64 KiB and a little.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Serves until the runtime ends.
pub(super) fn start(runtime: &Runtime) -> SocketAddr {
    let _inside = runtime.enter();
    let mut listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), false).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await;
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve(stream: TcpStream) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let Ok(asked) = Upgrade::read(stream, &WsOptions::default(), None, deadline).await else { return Ok(()) };
    let Ok(Upgraded { stream, ahead }) = asked.agree(deadline).await else { return Ok(()) };
    let mut stream = Stream::from(stream).with_ahead(ahead);
    let mut decoder = WsDecoder::new(Role::Server, MESSAGE_BYTES_MAX, true);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let mut read = ReadBuf::new(&mut buffer);
        poll_fn(|cx| stream.reader.poll_read(cx, &mut read)).await?;
        if read.filled().is_empty() {
            return Ok(());
        }
        let (answers, ends) = answer(&mut decoder, read.filled_mut());
        write(&stream.writer, &answers).await?;
        if ends {
            stream.writer.shutdown()?;
        }
    }
}

/// Answers what one read holds. Whether the connection ends.
fn answer(decoder: &mut WsDecoder, mut input: &mut [u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    loop {
        let used = match decoder.next(input) {
            Err(error) => {
                encode_close(error.code, error.reason, &mut out);
                return (out, true);
            }
            Ok((_, None)) => return (out, false),
            Ok((used, Some(event))) => {
                match event {
                    WsEvent::Binary(message) => encode_frame(Opcode::Binary, message, &mut out),
                    WsEvent::Text(message) => encode_frame(Opcode::Text, message.as_bytes(), &mut out),
                    WsEvent::Ping(payload) => encode_frame(Opcode::Pong, payload, &mut out),
                    WsEvent::Pong(_) => {}
                    WsEvent::Close { code, .. } => {
                        encode_close(code.unwrap_or(1000), "", &mut out);
                        return (out, true);
                    }
                }
                used
            }
        };
        input = &mut input[used..];
    }
}

async fn write(writer: &Writer, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match writer.try_write(data) {
            Ok(written) => data = &data[written..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => poll_fn(|cx| writer.poll_write_ready(cx)).await?,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
