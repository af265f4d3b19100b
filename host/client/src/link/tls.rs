//! TLS around a tcp socket.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::socket::Socket;
use crate::endpoint::Endpoint;
use crate::error::ClientError;
use crate::options::Trust;

/// Shakes hands and checks the certificate.
pub(super) async fn wrap(socket: TcpStream, endpoint: &Endpoint, trust: &Trust) -> Result<Socket, ClientError> {
    let name = ServerName::try_from(endpoint.host().to_owned()).map_err(|error| ClientError::Trust(error.to_string()))?;
    let connector = TlsConnector::from(Arc::new(config(trust)?));
    match connector.connect(name, socket).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(source) => Err(refused(endpoint, source)),
    }
}

/// Why there was no handshake: the peer said so in TLS, or spoke something else, or nothing at all.
fn refused(endpoint: &Endpoint, source: io::Error) -> ClientError {
    let endpoint = endpoint.clone();
    let in_tls = source.get_ref().and_then(|inner| inner.downcast_ref()).is_some_and(|error| !matches!(error, Error::InvalidMessage(_)));
    if in_tls { ClientError::Dial { endpoint, source } } else { ClientError::NotTls { endpoint, source } }
}

fn config(trust: &Trust) -> Result<ClientConfig, ClientError> {
    // Given explicitly: the provider must not depend on what other crates in the process ask for.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Trust(error.to_string()))?;
    let builder = match trust {
        Trust::WebRoots => builder.with_root_certificates(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }),
        Trust::Authorities(file) => {
            let unusable = |why: &dyn std::fmt::Display| ClientError::Trust(format!("{}: {why}", file.display()));
            let mut roots = RootCertStore::empty();
            let pem = std::fs::read(file).map_err(|error| unusable(&error))?;
            // Windows editors put a byte order mark there.
            let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&pem);
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
            }
            if roots.is_empty() {
                return Err(unusable(&"there is no certificate in it"));
            }
            builder.with_root_certificates(roots)
        }
        Trust::AcceptAnyCertificate => builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider))),
    };
    Ok(builder.with_no_client_auth())
}

/// Accepts every certificate. The peer still has to hold its key, which says nothing about who it is.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
