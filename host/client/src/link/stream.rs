//! Packets on a byte stream, cut out by their size field.

use std::io::{self, ErrorKind};

use bytes::{Bytes, BytesMut};
use duet_codec::{Cut, Format};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use super::socket::Socket;
use crate::error::{CloseReason, Foreign};

/// Enough for a few packets of usual size; the buffer grows up to one packet of the largest size.
const READ_BYTES: usize = 16 * 1024;

pub(crate) struct Reader<S = ReadHalf<Socket>> {
    stream: S,
    buffer: BytesMut,
    format: Format,
    /// Nothing has been read yet except what is in the buffer.
    first: bool,
}

pub(crate) struct Writer {
    stream: WriteHalf<Socket>,
    batch: Vec<u8>,
}

pub(super) fn split(socket: Socket, format: &Format) -> (Reader, Writer) {
    let (reader, writer) = tokio::io::split(socket);
    (Reader::new(reader, format), Writer { stream: writer, batch: Vec::new() })
}

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(super) fn new(stream: S, format: &Format) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(READ_BYTES), format: *format, first: true }
    }

    pub(super) async fn read(&mut self) -> Result<Bytes, CloseReason> {
        loop {
            match self.format.cut(&self.buffer) {
                Ok(Cut::Packet(size)) if size > 0 => {
                    self.first = false;
                    return Ok(self.buffer.split_to(size).freeze());
                }
                Ok(_) => {}
                Err(error) => return Err(self.foreign().unwrap_or_else(|| CloseReason::Malformed(error.to_string()))),
            }
            self.buffer.reserve(READ_BYTES);
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(self.foreign().unwrap_or(CloseReason::EndOfStream)),
                Ok(_) => {}
                Err(error) => return Err(close_reason(&error)),
            }
        }
    }

    fn foreign(&self) -> Option<CloseReason> {
        let first_bytes = self.first.then_some(&*self.buffer)?;
        Foreign::of_first_bytes(first_bytes).map(CloseReason::Foreign)
    }
}

impl Writer {
    pub(super) async fn write(&mut self, packets: &mut Vec<Bytes>) -> Result<(), CloseReason> {
        join(packets, &mut self.batch);
        let written = async {
            self.stream.write_all(&self.batch).await?;
            // What TLS has encrypted may still be waiting.
            self.stream.flush().await
        };
        written.await.map_err(|error| close_reason(&error))
    }

    pub(super) async fn finish(&mut self) -> Result<(), CloseReason> {
        self.stream.shutdown().await.map_err(|error| close_reason(&error))
    }
}

/// Joins the packets, so that they make one write.
pub(super) fn join(packets: &mut Vec<Bytes>, batch: &mut Vec<u8>) {
    batch.clear();
    for packet in packets.drain(..) {
        batch.extend_from_slice(&packet);
    }
}

pub(super) fn close_reason(error: &io::Error) -> CloseReason {
    match error.kind() {
        // TLS that ended without saying so.
        ErrorKind::UnexpectedEof => CloseReason::EndOfStream,
        _ => CloseReason::Io(error.to_string()),
    }
}
