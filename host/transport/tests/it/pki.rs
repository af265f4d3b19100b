//! Certificates, and both ends of a connection with TLS.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duet_transport::{Tls, TlsIdentity, TlsStream};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

pub(crate) type Client = tokio_rustls::client::TlsStream<TcpStream>;

/// A server's files.
pub(crate) struct Pki {
    folder: tempfile::TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let pki = Self { folder: tempfile::tempdir().unwrap() };
        pki.renew();
        pki
    }

    /// Writes a new certificate with a new key, trusted by nobody who trusted the old one.
    pub(crate) fn renew(&self) {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.certificate(), issued.cert.pem()).unwrap();
        std::fs::write(self.key(), issued.signing_key.serialize_pem()).unwrap();
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    pub(crate) fn identity(&self) -> Arc<TlsIdentity> {
        Arc::new(TlsIdentity::load(self.certificate(), self.key()).unwrap())
    }

    /// A client that trusts what is in the file now.
    pub(crate) fn connector(&self, versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into()
    }
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Two ends of a plain connection: the client's, and the server's.
pub(crate) async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (client, server) = (client.unwrap(), accepted.unwrap().0);
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    (client, server)
}

/// Both ends after the handshake.
pub(crate) async fn handshake(connector: &TlsConnector, tls: &Tls) -> std::io::Result<(Client, TlsStream)> {
    let (client, server) = tcp().await;
    let name = ServerName::try_from("localhost").unwrap();
    let (client, server) = tokio::join!(connector.connect(name, client), tls.accept(server, soon()));
    Ok((client?, server.unwrap()))
}
