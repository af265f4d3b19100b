//! Certificates for a server, and clients that trust them.

use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

/// The files of a server's certificate, signed by itself.
#[derive(Debug)]
pub struct Pki {
    folder: TempDir,
}

/// What a client trusts: one certificate.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Pki {
    /// Writes a first certificate.
    pub fn new() -> Self {
        let pki = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        pki.renew();
        pki
    }

    /// Writes a new certificate with a new key, trusted by nobody who trusted the old one.
    pub fn renew(&self) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let issued = rcgen::generate_simple_self_signed(names).expect("a certificate");
        std::fs::write(self.certificate(), issued.cert.pem()).expect("a file");
        std::fs::write(self.key(), issued.signing_key.serialize_pem()).expect("a file");
    }

    /// The certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Its private key.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// The two files as settings of a listener.
    pub fn settings(&self) -> String {
        format!("tls_cert = \"{}\"\ntls_key = \"{}\"\n", self.certificate().display(), self.key().display())
    }

    /// A client that trusts the certificate that is in the file now, and no other.
    pub fn trust(&self) -> Trust {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.certificate()).expect("a certificate")).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions of TLS");
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        // A resumed session does not ask for the certificate again.
        config.resumption = Resumption::disabled();
        Trust(Arc::new(config))
    }
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

impl Trust {
    pub(crate) fn shake_hands(&self, mut stream: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut client = ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        while client.is_handshaking() {
            client.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(client, stream))
    }
}
