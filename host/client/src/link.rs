//! One connection as two halves that read and write whole packets, whatever carries them.

mod kcp;
mod socket;
mod stream;
mod tls;
mod ws;

use bytes::Bytes;
use duet_codec::Format;
use tokio::net::TcpStream;

use crate::endpoint::{Endpoint, Transport};
use crate::error::{ClientError, CloseReason};
use crate::options::ClientOptions;
use socket::Socket;

/// The receiving half.
pub(crate) enum LinkReader {
    Stream(stream::Reader),
    Ws(Box<ws::Reader>),
    Kcp(stream::Reader<kcp::Half>),
}

/// The sending half.
pub(crate) enum LinkWriter {
    Stream(stream::Writer),
    Ws(ws::Writer),
    Kcp(kcp::Writer),
}

/// Connects, with TLS and the ws upgrade where they belong to it, without any deadline of its own.
pub(crate) async fn dial(endpoint: &Endpoint, format: &Format, options: &ClientOptions) -> Result<(LinkReader, LinkWriter), ClientError> {
    match endpoint.transport() {
        Transport::Tcp | Transport::Tls => {
            let (reader, writer) = stream::split(connect(endpoint, options).await?, format);
            Ok((LinkReader::Stream(reader), LinkWriter::Stream(writer)))
        }
        Transport::Ws | Transport::Wss => {
            let (reader, writer) = ws::upgrade(connect(endpoint, options).await?, endpoint, format).await?;
            Ok((LinkReader::Ws(Box::new(reader)), LinkWriter::Ws(writer)))
        }
        Transport::Kcp => {
            let (reader, writer) = kcp::open(endpoint, format, &options.kcp).await?;
            Ok((LinkReader::Kcp(reader), LinkWriter::Kcp(writer)))
        }
    }
}

async fn connect(endpoint: &Endpoint, options: &ClientOptions) -> Result<Socket, ClientError> {
    let dial_error = |source| ClientError::Dial { endpoint: endpoint.clone(), source };
    let socket = TcpStream::connect(endpoint.authority()).await.map_err(dial_error)?;
    socket.set_nodelay(true).map_err(dial_error)?;
    if endpoint.transport().is_secure() { tls::wrap(socket, endpoint, &options.trust).await } else { Ok(Box::new(socket)) }
}

impl LinkReader {
    /// The next packet, as the codec wants it for this transport's carrier.
    pub(crate) async fn read(&mut self) -> Result<Bytes, CloseReason> {
        match self {
            Self::Stream(reader) => reader.read().await,
            Self::Ws(reader) => reader.read().await,
            Self::Kcp(reader) => reader.read().await,
        }
    }

    /// Whether the peer can tell that nothing more will come.
    pub(crate) fn can_end(&self) -> bool {
        !matches!(self, Self::Kcp(_))
    }
}

impl LinkWriter {
    /// Takes the packets out of `packets` and hands them to the system.
    pub(crate) async fn write(&mut self, packets: &mut Vec<Bytes>) -> Result<(), CloseReason> {
        match self {
            Self::Stream(writer) => writer.write(packets).await,
            Self::Ws(writer) => writer.write(packets).await,
            Self::Kcp(writer) => writer.write(packets).await,
        }
    }

    /// Tells the peer that nothing more will come. A transport that cannot tell ends here.
    pub(crate) async fn finish(&mut self) -> Result<(), CloseReason> {
        match self {
            Self::Stream(writer) => writer.finish().await,
            Self::Ws(writer) => writer.finish().await,
            Self::Kcp(writer) => writer.finish().await,
        }
    }

    /// Says good-bye after the peer did.
    pub(crate) async fn release(&mut self) -> Result<(), CloseReason> {
        match self {
            Self::Stream(writer) => writer.finish().await,
            Self::Ws(writer) => writer.release().await,
            Self::Kcp(_) => Ok(()),
        }
    }
}
