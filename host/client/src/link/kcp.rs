//! Packets on the byte stream of a KCP session. A task of its own keeps the session; the link has one end of a pipe to it.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use duet_codec::Format;
use kcp::Kcp;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{self, Duration, Instant};

use super::stream::{self, Reader};
use crate::endpoint::Endpoint;
use crate::error::{ClientError, CloseReason};
use crate::options::KcpOptions;

/// Segments in one send; the library refuses 128 and more.
const SEND_SEGMENTS: usize = 64;
/// What may wait in the pipe, each way, while the session or the reader is busy.
const PIPE_BYTES: usize = 64 * 1024;
/// More than the longest datagram that a server of ours sends, or one with the usual settings.
const DATAGRAM_BYTES: usize = 2 * 1024;

/// The near end of the pipe.
pub(crate) type Half = ReadHalf<DuplexStream>;

pub(crate) struct Writer {
    pipe: WriteHalf<DuplexStream>,
    batch: Vec<u8>,
    /// Told when the pipe was shut down and all that was written has arrived.
    arrived: oneshot::Receiver<()>,
    /// The session: it ends with the writer.
    _session: JoinSet<()>,
}

/// Begins a session. There is no handshake: that there is no server shows only by its silence.
pub(super) async fn open(endpoint: &Endpoint, format: &Format, options: &KcpOptions) -> Result<(Reader<Half>, Writer), ClientError> {
    let dial_error = |source| ClientError::Dial { endpoint: endpoint.clone(), source };
    let address = lookup_host(endpoint.authority()).await.map_err(dial_error)?.next();
    let address = address.ok_or_else(|| dial_error(io::Error::new(ErrorKind::NotFound, "the host has no address")))?;
    let session = Session::open(address, options).await.map_err(dial_error)?;
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (tell, arrived) = oneshot::channel();
    let mut task = JoinSet::new();
    task.spawn(async move {
        // The end of the session ends the pipe, which the reader sees.
        drop(session.carry(far, tell).await);
    });
    let (reader, writer) = tokio::io::split(near);
    Ok((Reader::new(reader, format), Writer { pipe: writer, batch: Vec::new(), arrived, _session: task }))
}

impl Writer {
    pub(super) async fn write(&mut self, packets: &mut Vec<Bytes>) -> Result<(), CloseReason> {
        stream::join(packets, &mut self.batch);
        self.pipe.write_all(&self.batch).await.map_err(|error| stream::close_reason(&error))
    }

    /// KCP has no good-bye: once all has arrived, this side is gone.
    pub(super) async fn finish(&mut self) -> Result<(), CloseReason> {
        self.pipe.shutdown().await.map_err(|error| stream::close_reason(&error))?;
        drop((&mut self.arrived).await);
        Err(CloseReason::Local)
    }
}

/// The session and its socket.
struct Session {
    kcp: Kcp<Output>,
    socket: Arc<UdpSocket>,
    begun: Instant,
    /// One part of the stream on its way into the pipe.
    received: Vec<u8>,
}

/// Sends datagrams. What the socket does not take is lost, as on any other part of the way.
struct Output(Arc<UdpSocket>);

impl Session {
    async fn open(address: SocketAddr, options: &KcpOptions) -> io::Result<Self> {
        let any: SocketAddr = if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = Arc::new(UdpSocket::bind(any).await?);
        socket.connect(address).await?;
        let kcp = options.session(Output(Arc::clone(&socket)))?;
        Ok(Self { kcp, socket, begun: Instant::now(), received: Vec::new() })
    }

    /// Carries bytes between the pipe and the server, until the other end of the pipe is gone.
    async fn carry(mut self, pipe: DuplexStream, arrived: oneshot::Sender<()>) -> io::Result<()> {
        let (mut from_client, mut to_client) = tokio::io::split(pipe);
        let mut arrived = Some(arrived);
        let mut shut = false;
        let (mut datagram, mut part) = (vec![0; DATAGRAM_BYTES], vec![0; SEND_SEGMENTS * self.kcp.mss()]);
        loop {
            let next = self.update()?;
            if shut && self.kcp.wait_snd() == 0 {
                arrived.take().map(|arrived| arrived.send(()));
            }
            let has_room = self.kcp.wait_snd() < usize::from(self.kcp.snd_wnd());
            tokio::select! {
                received = self.socket.recv(&mut datagram) => {
                    // An error means that nobody is listening on the port, for now.
                    let count = received.unwrap_or_default();
                    self.take(datagram.get(..count).unwrap_or_default(), &mut to_client).await?;
                }
                count = from_client.read(&mut part), if has_room && !shut => {
                    let bytes = part.get(..count?).unwrap_or_default();
                    shut = bytes.is_empty();
                    self.send(bytes)?;
                }
                () = time::sleep_until(next), if self.kcp.wait_snd() > 0 => {}
            }
        }
    }

    /// Tells KCP the time in milliseconds, which wraps after 49 days, as KCP expects. KCP does what is due. Returns when something is due
    /// next.
    fn update(&mut self) -> io::Result<Instant> {
        let now = self.begun.elapsed().as_millis() as u32;
        self.kcp.update(now)?;
        // Until its interval is over it does nothing, however late it says it is, so at least 1 ms is waited.
        Ok(Instant::now() + Duration::from_millis(self.kcp.check(now).max(1).into()))
    }

    /// Takes a datagram, acknowledges it at once, and hands on what is complete.
    async fn take(&mut self, datagram: &[u8], to_client: &mut WriteHalf<DuplexStream>) -> io::Result<()> {
        // What is not KCP, or belongs to an earlier session from the same port, is ignored.
        if self.kcp.input(datagram).is_err() {
            return Ok(());
        }
        self.kcp.flush()?;
        while let Ok(count) = self.kcp.peeksize() {
            self.received.resize(count, 0);
            self.kcp.recv(&mut self.received)?;
            to_client.write_all(&self.received).await?;
        }
        Ok(())
    }

    /// Sends at once what the windows allow.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !bytes.is_empty() {
            self.update()?;
            self.kcp.send(bytes)?;
            self.kcp.flush()?;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        drop(self.0.try_send(datagram));
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
