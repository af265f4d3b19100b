//! The cryptography behind TLS.

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The cryptography, named here and never taken from a default of the process.
pub(super) fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}
