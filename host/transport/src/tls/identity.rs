//! Certificate and private key: from files, and again from the files without a restart.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use duet_core::Mutex;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};

use super::provider::provider;

/// Longer than any chain of certificates.
const FILE_BYTES_MAX: u64 = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why files cannot be used for TLS. Never holds a byte of a private key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the operating system says. Part of the message, and therefore not its source.
        cause: io::Error,
    },
    /// The first file holds no certificate.
    #[error("{} holds no certificate: it needs PEM that begins with -----BEGIN CERTIFICATE-----, the server's own first", .0.display())]
    NoCertificate(PathBuf),
    /// The second file holds no private key.
    #[error("{} holds no private key: it needs PEM that begins with -----BEGIN PRIVATE KEY-----, without a password", .0.display())]
    NoKey(PathBuf),
    /// A file is broken PEM, or what it holds cannot be understood.
    #[error("{} is damaged or of a kind that cannot be used: expected {expected}", path.display())]
    Unusable {
        /// Which one.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The files do not belong together.
    #[error("the private key in {} does not belong to the first certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// The cryptography cannot do what we ask of it.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}

/// What a server shows its clients. Reads files: load and reload it where waiting for a disk does no harm.
pub struct TlsIdentity {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
    /// What the files looked like when they were read last.
    seen: Mutex<Stamps>,
}

/// Length and time of change of both files.
type Stamps = [Option<(u64, SystemTime)>; 2];

/// Gives every handshake the newest certificate.
pub(super) struct Resolver(pub(super) Arc<TlsIdentity>);

impl TlsIdentity {
    /// Reads a chain of certificates and the private key of the first one, both PEM. Warns about a certificate that is out of date.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let seen = Mutex::new(stamps(&certificate, &key));
        let current = ArcSwap::from_pointee(read(&certificate, &key)?);
        Ok(Self { certificate, key, current, seen })
    }

    /// Reads both files again. Handshakes from now on show the new certificate; connections that are open go on.
    ///
    /// # Errors
    /// [`TlsError`]; the old certificate stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        // Before reading: what changes meanwhile is seen as changed.
        *self.seen.lock() = stamps(&self.certificate, &self.key);
        self.current.store(Arc::new(read(&self.certificate, &self.key)?));
        Ok(())
    }

    /// Whether a file changed since both were read last, even if that failed: a bad file is not read again before it changes.
    pub fn changed(&self) -> bool {
        *self.seen.lock() != stamps(&self.certificate, &self.key)
    }

    /// Until when the certificate in use is valid.
    pub fn expires(&self) -> Option<SystemTime> {
        expiry(self.current.load().cert.first()?)
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").field("certificate", &self.certificate).field("key", &self.key).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current.load_full())
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let unusable = |path: &Path, expected| TlsError::Unusable { path: path.to_owned(), expected };
    let chain = CertificateDer::pem_slice_iter(&bytes(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| unusable(certificate, "certificates in PEM"))?;
    let own = chain.first().ok_or_else(|| TlsError::NoCertificate(certificate.to_owned()))?;
    ParsedCertificate::try_from(own).map_err(|_| unusable(certificate, "an X.509 certificate of version 3"))?;
    let expires = expiry(own);
    // What these errors say may hold parts of the file, so it is left out.
    let private = PrivateKeyDer::from_pem_slice(&bytes(key)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(key.to_owned()),
        _ => unusable(key, "a private key in PEM"),
    })?;
    let loaded = CertifiedKey::from_der(chain, private, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch { certificate: certificate.to_owned(), key: key.to_owned() },
        _ => unusable(key, "a private key for ECDSA, Ed25519 or RSA of 2048 bits or more"),
    })?;
    if let Some(ago) = expires.and_then(|expires| SystemTime::now().duration_since(expires).ok()) {
        let days = ago.as_secs() / 86_400;
        tracing::warn!(file = %certificate.display(), "the certificate expired {days} days ago: clients will refuse it");
    }
    Ok(loaded)
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |cause| TlsError::Read { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(failed(io::Error::other(format!("longer than {FILE_BYTES_MAX} bytes"))));
    }
    // Windows editors put it there.
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(bytes)
}

/// When a certificate ends. rustls has no such question; but its check, asked about the far future, says until when it would have passed.
fn expiry(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let far_future = UnixTime::since_unix_epoch(Duration::from_secs(u32::MAX.into()) * 1000);
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let algorithms = provider().signature_verification_algorithms.all;
    match verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], far_future, algorithms) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(not_after.as_secs()))
        }
        _ => None,
    }
}

fn stamps(certificate: &Path, key: &Path) -> Stamps {
    [certificate, key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

#[cfg(test)]
mod tests;
