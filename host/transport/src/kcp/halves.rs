//! The two halves of a session that a listener hands out.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::session::Session;

/// The receiving half of a session.
#[derive(Debug)]
pub struct KcpReader(Arc<Session>);

/// The sending half of a session. It may be used from any thread, inside a runtime or not, and never waits. Dropping it shuts the
/// session down.
#[derive(Debug)]
pub struct KcpWriter(Arc<Session>);

/// The halves of a session.
pub(super) fn halves(session: &Arc<Session>) -> (KcpReader, KcpWriter) {
    (KcpReader(Arc::clone(session)), KcpWriter(Arc::clone(session)))
}

impl KcpReader {
    /// Reads what has arrived in order. Nothing filled means that the session was shut down and is forgotten; a client's leaving is not
    /// told by KCP. Only the task of the latest call is woken.
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
    /// `WouldBlock` when nothing is taken; another kind when the session is shut down or dead.
    pub fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        self.0.try_write(data)
    }

    /// Sends what is due. True if the client has acknowledged everything; if not, there is no need to wait for it, as a session that was
    /// shut down still delivers.
    ///
    /// # Errors
    /// The session is forgotten or dead.
    pub fn try_flush(&self) -> io::Result<bool> {
        self.0.try_flush()
    }

    /// Until [`KcpWriter::try_write`] takes something. Only the task of the latest call is woken.
    ///
    /// # Errors
    /// The session is forgotten or dead.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(cx)
    }

    /// Takes no more. What was taken is still delivered while the session lingers; then it is forgotten and the reader sees the end.
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
