//! The two halves of a connection that a listener hands out.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::connection::Connection;

/// The receiving half of a connection.
#[derive(Debug)]
pub struct KcpReader(Arc<Connection>);

/// The sending half of a connection. It may be used from any thread, inside a runtime or not, and never waits. Dropping it shuts the
/// connection down.
#[derive(Debug)]
pub struct KcpWriter(Arc<Connection>);

/// The halves of a connection.
pub(super) fn halves(connection: &Arc<Connection>) -> (KcpReader, KcpWriter) {
    (KcpReader(Arc::clone(connection)), KcpWriter(Arc::clone(connection)))
}

impl KcpReader {
    /// Reads what has arrived in order. Nothing filled means that the connection was shut down and is forgotten; KCP does not say when a
    /// client leaves. Only the task of the latest call is woken.
    ///
    /// # Errors
    /// The link is dead. What was received and not read is gone.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }
}

impl KcpWriter {
    /// Takes as much as two send windows hold, and sends at once what the window in flight allows.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is taken; another kind when the connection is shut down or dead.
    pub fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        self.0.try_write(data)
    }

    /// Sends what is due. True if the client has acknowledged everything; if not, there is no need to wait for it, as a connection that was
    /// shut down still delivers.
    ///
    /// # Errors
    /// The connection is forgotten or dead.
    pub fn try_flush(&self) -> io::Result<bool> {
        self.0.try_flush()
    }

    /// Waits until [`KcpWriter::try_write`] takes something. Only the task of the latest call is woken.
    ///
    /// # Errors
    /// The connection is forgotten or dead.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(cx)
    }

    /// Takes no more. What was taken is still delivered while the connection lingers; then it is forgotten and the reader sees the end.
    ///
    /// # Errors
    /// None so far.
    pub fn shutdown(&self) -> io::Result<()> {
        self.0.shutdown();
        Ok(())
    }
}

impl Drop for KcpWriter {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}
