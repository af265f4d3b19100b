//! Packets on a tcp stream, cut out by their size field.

use std::io;

use bytes::{Bytes, BytesMut};
use duet_codec::{Cut, Format};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::error::CloseReason;

/// Enough for a few packets of usual size; the buffer grows up to one packet of the largest size.
const READ_BYTES: usize = 16 * 1024;

pub(crate) struct Reader {
    stream: OwnedReadHalf,
    buffer: BytesMut,
    format: Format,
}

pub(crate) struct Writer {
    stream: OwnedWriteHalf,
    batch: Vec<u8>,
}

pub(super) fn split(stream: TcpStream, format: &Format) -> (Reader, Writer) {
    let (reader, writer) = stream.into_split();
    let reader = Reader { stream: reader, buffer: BytesMut::with_capacity(READ_BYTES), format: *format };
    (reader, Writer { stream: writer, batch: Vec::new() })
}

impl Reader {
    pub(super) async fn read(&mut self) -> Result<Bytes, CloseReason> {
        loop {
            match self.format.cut(&self.buffer) {
                Ok(Cut::Packet(size)) if size > 0 => return Ok(self.buffer.split_to(size).freeze()),
                Ok(_) => {}
                Err(error) => return Err(CloseReason::Malformed(error.to_string())),
            }
            self.buffer.reserve(READ_BYTES);
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(CloseReason::EndOfStream),
                Ok(_) => {}
                Err(error) => return Err(close_reason(&error)),
            }
        }
    }
}

impl Writer {
    pub(super) async fn write(&mut self, packets: &mut Vec<Vec<u8>>) -> Result<(), CloseReason> {
        self.batch.clear();
        for packet in packets.drain(..) {
            self.batch.extend_from_slice(&packet);
        }
        self.stream.write_all(&self.batch).await.map_err(|error| close_reason(&error))
    }

    pub(super) async fn finish(&mut self) -> Result<(), CloseReason> {
        self.stream.shutdown().await.map_err(|error| close_reason(&error))
    }
}

fn close_reason(error: &io::Error) -> CloseReason {
    CloseReason::Io(error.to_string())
}
