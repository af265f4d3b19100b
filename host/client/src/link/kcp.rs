//! Packets on the byte stream of a KCP session, by tokio_kcp: an implementation independent of the server's own.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use duet_codec::Format;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::lookup_host;
use tokio::time;
use tokio_kcp::{KcpConfig, KcpNoDelayConfig, KcpStream};

use super::stream::{self, Reader};
use crate::endpoint::Endpoint;
use crate::error::{ClientError, CloseReason};
use crate::options::KcpOptions;

/// Segments in one write; the library refuses 128 and more.
const WRITE_SEGMENTS: usize = 64;
/// How often a session that is to end is asked whether all has arrived.
const ASK_INTERVAL: Duration = Duration::from_millis(5);

/// One half of a session; which one is up to its user. The library's stream wants to be borrowed as a whole.
#[derive(Clone)]
pub(crate) struct Half(Arc<Mutex<KcpStream>>);

pub(crate) struct Writer {
    stream: Half,
    batch: Vec<u8>,
    write_bytes_max: usize,
}

/// Begins a session. There is no handshake: a server that is not there shows by its silence.
pub(super) async fn open(endpoint: &Endpoint, format: &Format, options: &KcpOptions) -> Result<(Reader<Half>, Writer), ClientError> {
    let dial_error = |source| ClientError::Dial { endpoint: endpoint.clone(), source };
    let config = config(options).map_err(dial_error)?;
    let address = lookup_host(endpoint.authority()).await.map_err(dial_error)?.next();
    let address = address.ok_or_else(|| dial_error(io::Error::new(ErrorKind::NotFound, "the host has no address")))?;
    let stream = KcpStream::connect(&config, address).await.map_err(|error| dial_error(io::Error::other(error)))?;
    let half = Half(Arc::new(Mutex::new(stream)));
    let write_bytes_max = WRITE_SEGMENTS * (options.mtu - kcp::KCP_OVERHEAD);
    Ok((Reader::new(half.clone(), format), Writer { stream: half, batch: Vec::new(), write_bytes_max }))
}

fn config(options: &KcpOptions) -> io::Result<KcpConfig> {
    if !(50..=1_500).contains(&options.mtu) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the mtu has to be 50 to 1,500"));
    }
    Ok(KcpConfig {
        mtu: options.mtu,
        nodelay: KcpNoDelayConfig {
            nodelay: options.nodelay,
            interval: i32::try_from(options.interval.as_millis()).unwrap_or(i32::MAX),
            resend: options.resend.into(),
            nc: options.nc,
        },
        wnd_size: (options.send_window, options.receive_window),
        flush_write: true,
        flush_acks_input: true,
        stream: true,
        ..KcpConfig::default()
    })
}

impl Writer {
    pub(super) async fn write(&mut self, packets: &mut Vec<Bytes>) -> Result<(), CloseReason> {
        stream::join(packets, &mut self.batch);
        for part in self.batch.chunks(self.write_bytes_max) {
            self.stream.write_all(part).await.map_err(|error| stream::close_reason(&error))?;
        }
        Ok(())
    }

    /// KCP has no good-bye: once all has arrived, this side is gone.
    pub(super) async fn finish(&mut self) -> Result<(), CloseReason> {
        while !self.stream.lock().session().kcp_socket().lock().can_close() {
            time::sleep(ASK_INTERVAL).await;
        }
        Err(CloseReason::Local)
    }
}

impl Half {
    fn lock(&self) -> MutexGuard<'_, KcpStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Half {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buf)
    }
}

impl AsyncWrite for Half {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }
}
