//! The end of a connection that is turned away, so that its client gets to know.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long the client may take to read its last bytes and to end its side.
const PARTING: Duration = Duration::from_secs(1);
/// Most bytes that are read meanwhile, and how many at once.
const REST_BYTES_MAX: usize = 256 << 10;
const REST_BYTES: usize = 1 << 10;

/// Writes the last bytes, ends our side, and reads and forgets what the client sends until it ends its own, for a second at most. A socket
/// that is closed with unread bytes is reset, and its client loses what it was told. How many of these go on at a time is the caller's
/// to bound.
pub async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, last: &[u8]) {
    let all = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        let (mut rest, mut left) = ([0; REST_BYTES], REST_BYTES_MAX);
        while let read @ 1.. = stream.read(&mut rest).await?
            && left > 0
        {
            left = left.saturating_sub(read);
        }
        io::Result::Ok(())
    };
    if !matches!(tokio::time::timeout(PARTING, all).await, Ok(Ok(()))) {
        tracing::trace!("a client that was turned away did not take it in good order");
    }
}
