//! TLS for the listener: rustls with ring, TLS 1.2 and 1.3, ALPN `h2` and `http/1.1`, and a certificate that can be replaced while
//! connections are open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Why a certificate or its key cannot be used. Never shows the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file cannot be read or holds no certificate.
    #[error("cannot read certificates from {path}: {detail}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// The key file cannot be read or holds no key.
    #[error("cannot read a private key from {path}: {detail}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// The key does not belong to the certificate, or rustls does not support it.
    #[error("the key does not fit the certificate: {0}")]
    Mismatch(rustls::Error),
    /// rustls refused its own configuration.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// Accepts TLS connections. Clones share the certificate.
#[derive(Debug, Clone)]
pub struct Acceptor {
    files: Arc<(PathBuf, PathBuf)>,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

/// A certificate chain with its key, read and found to fit.
#[derive(Debug)]
pub struct Certificate(Arc<CertifiedKey>);

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Acceptor {
    /// Reads a PEM chain (leaf first) and its PEM key.
    ///
    /// # Errors
    /// [`TlsError`] naming the file.
    pub fn from_pem_files(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let current = Arc::new(Current(ArcSwap::from_pointee(read(certificates, key, &provider)?)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { files: Arc::new((certificates.to_owned(), key.to_owned())), current, config: Arc::new(config) })
    }

    /// Reads the files again, for [`Acceptor::renew`]. Changes nothing.
    ///
    /// # Errors
    /// As [`Acceptor::from_pem_files`].
    pub fn read(&self) -> Result<Certificate, TlsError> {
        let (certificates, key) = &*self.files;
        read(certificates, key, self.config.crypto_provider()).map(|read| Certificate(Arc::new(read)))
    }

    /// Uses a certificate for later handshakes.
    pub fn renew(&self, certificate: Certificate) {
        self.current.0.store(certificate.0);
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

fn read(certificates: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let bad_certificate = |detail: String| TlsError::Certificate { path: certificates.to_owned(), detail };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(bad_certificate("the file holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Key { path: key.to_owned(), detail: error.to_string() })?;
    CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Mismatch)
}
