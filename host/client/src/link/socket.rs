//! What carries bytes in order: a tcp socket, or TLS around one.

use tokio::io::{AsyncRead, AsyncWrite};

/// A tcp socket, with TLS around it or without.
pub(crate) type Socket = Box<dyn Duplex>;

/// Both directions of a byte stream.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
