//! TLS: the handshake of the server's side. Bytes after it are the business of [`crate::Stream`].

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

pub(crate) use self::halves::split;
pub use self::halves::{TlsReader, TlsStream, TlsWriter};
pub use self::identity::{TlsError, TlsIdentity};
use crate::{in_time, part};

mod halves;
mod identity;
mod provider;

/// Shakes hands with clients, in TLS 1.3 or 1.2.
///
/// Sessions can be resumed from memory: rustls keeps the last 256. Data before the end of the handshake is not accepted.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
}

/// Why a client did not complete the TLS handshake.
#[derive(Debug, thiserror::Error)]
pub enum TlsAcceptError {
    /// It was not done in time.
    #[error("no TLS handshake in time")]
    Timeout,
    /// The client left, does not speak TLS, or has no version or cipher in common with us. It was told, if it listened.
    #[error("the TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
}

impl Tls {
    /// Shows clients an identity. What it reloads counts for handshakes from then on.
    ///
    /// # Errors
    /// [`TlsError`] if the cryptography cannot do what we ask of it.
    pub fn new(identity: Arc<TlsIdentity>) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider::provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(identity::Resolver(identity)));
        config.ignore_client_order = true;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Does the handshake, or gives up at the deadline.
    ///
    /// # Errors
    /// [`TlsAcceptError`].
    pub async fn accept(&self, stream: TcpStream, deadline: Instant) -> Result<TlsStream, TlsAcceptError> {
        match in_time(deadline, self.acceptor.accept(stream).into_fallible()).await {
            Some(Ok(stream)) => Ok(stream),
            Some(Err((error, stream))) => {
                // It was told why, and gets the time to read it.
                part(stream, &[]).await;
                Err(error.into())
            }
            None => Err(TlsAcceptError::Timeout),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
