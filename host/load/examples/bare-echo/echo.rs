//! Servers that send back what they read and do nothing else.
//!
//! They run until an error of the listener and own their connections: dropping the future ends them all.

use std::io;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio_kcp::{KcpConfig, KcpListener, KcpNoDelayConfig};
use tokio_tungstenite::tungstenite;

/// One read of a client that pipelines.
const READ_BYTES: usize = 64 * 1024;

/// Echoes the bytes of tcp connections, without looking at them: what tokio and the system can do at best.
///
/// # Errors
/// The listener cannot accept any more.
pub(crate) async fn tcp(listener: TcpListener) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let stream = accept(&listener, &mut connections).await?;
        connections.spawn(async move {
            // It ends only when the peer leaves.
            drop(echo_bytes(stream).await);
        });
    }
}

/// Echoes ws messages by tokio-tungstenite with its default settings and a flush after each message that was not followed by another: what
/// a server on that library can do at best. A faster frame layer can do better.
///
/// # Errors
/// The listener cannot accept any more.
pub(crate) async fn ws(listener: TcpListener) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let stream = accept(&listener, &mut connections).await?;
        connections.spawn(async move {
            drop(echo_messages(stream).await);
        });
    }
}

/// Echoes the bytes of KCP sessions by tokio_kcp with the usual settings of games: what a server on that library can do at best.
///
/// # Errors
/// The socket cannot be used any more.
pub(crate) async fn kcp(socket: UdpSocket) -> io::Result<()> {
    let nodelay = KcpNoDelayConfig::fastest();
    let config = KcpConfig { nodelay, flush_write: true, flush_acks_input: true, stream: true, ..KcpConfig::default() };
    let mut listener = KcpListener::from_socket(config, socket).await.map_err(io::Error::other)?;
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.map_err(io::Error::other)?;
                sessions.spawn(async move {
                    drop(echo_bytes(stream).await);
                });
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

/// The next connection; meanwhile those that ended are forgotten.
async fn accept(listener: &TcpListener, connections: &mut JoinSet<()>) -> io::Result<TcpStream> {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn echo_bytes(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = stream.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        stream.write_all(bytes).await?;
    }
}

async fn echo_messages(stream: TcpStream) -> Result<(), tungstenite::Error> {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_binary() || message.is_text() {
            socket.feed(message).await?;
        }
        // What has been read already is answered with one write.
        while let Some(next) = futures_util::FutureExt::now_or_never(socket.next()) {
            match next {
                Some(Ok(message)) if message.is_binary() || message.is_text() => socket.feed(message).await?,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            }
        }
        socket.flush().await?;
    }
    Ok(())
}
