//! One connection as two halves that read and write whole packets, whatever carries them.

mod tcp;
mod ws;

use bytes::Bytes;
use duet_codec::Format;
use tokio::net::TcpStream;

use crate::endpoint::{Endpoint, Transport};
use crate::error::{ClientError, CloseReason};

/// The receiving half.
pub(crate) enum LinkReader {
    Tcp(tcp::Reader),
    Ws(Box<ws::Reader>),
}

/// The sending half.
pub(crate) enum LinkWriter {
    Tcp(tcp::Writer),
    Ws(ws::Writer),
}

/// Connects, for ws with the upgrade, without any deadline of its own.
pub(crate) async fn dial(endpoint: &Endpoint, format: &Format) -> Result<(LinkReader, LinkWriter), ClientError> {
    let dial_error = |source| ClientError::Dial { endpoint: endpoint.clone(), source };
    let stream = TcpStream::connect(endpoint.authority()).await.map_err(dial_error)?;
    stream.set_nodelay(true).map_err(dial_error)?;
    match endpoint.transport() {
        Transport::Tcp => {
            let (reader, writer) = tcp::split(stream, format);
            Ok((LinkReader::Tcp(reader), LinkWriter::Tcp(writer)))
        }
        Transport::Ws => {
            let (reader, writer) = ws::upgrade(stream, endpoint, format).await?;
            Ok((LinkReader::Ws(Box::new(reader)), LinkWriter::Ws(writer)))
        }
    }
}

impl LinkReader {
    /// The next packet, as the codec wants it for this transport's carrier.
    pub(crate) async fn read(&mut self) -> Result<Bytes, CloseReason> {
        match self {
            Self::Tcp(reader) => reader.read().await,
            Self::Ws(reader) => reader.read().await,
        }
    }
}

impl LinkWriter {
    /// Takes the packets out of `packets` and hands them to the system.
    pub(crate) async fn write(&mut self, packets: &mut Vec<Vec<u8>>) -> Result<(), CloseReason> {
        match self {
            Self::Tcp(writer) => writer.write(packets).await,
            Self::Ws(writer) => writer.write(packets).await,
        }
    }

    /// Tells the peer that nothing more will come.
    pub(crate) async fn finish(&mut self) -> Result<(), CloseReason> {
        match self {
            Self::Tcp(writer) => writer.finish().await,
            Self::Ws(writer) => writer.finish().await,
        }
    }

    /// Says good-bye after the peer did.
    pub(crate) async fn release(&mut self) -> Result<(), CloseReason> {
        match self {
            Self::Tcp(writer) => writer.finish().await,
            Self::Ws(writer) => writer.release().await,
        }
    }
}
