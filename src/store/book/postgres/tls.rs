//! TLS to the server, by rustls, in the words of libpq.
//!
//! | `sslmode` | is encrypted | is who it says |
//! |---|---|---|
//! | `disable` | no | – |
//! | `prefer` (where nothing is said) | where the server can | not looked at |
//! | `require` | yes | not looked at |
//! | `verify-full` | yes | by the system's certificates, or those in the file `sslrootcert` |
//!
//! `verify-ca` and client certificates are not supported, and refused. Not here: how the rest of the URL is read.

use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use postgres::Socket;
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;

/// What a URL says of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    mode: Option<String>,
    roots: Option<String>,
}

impl Wishes {
    /// Takes out of a URL what it says of TLS, which the rest of its parser does not know; returns the URL without that.
    ///
    /// # Errors
    /// What is wrong, without a part of the URL.
    pub(super) fn read(url: &str) -> Result<(String, Self), String> {
        let Some((before, query)) = url.split_once('?') else { return Ok((url.to_owned(), Self::default())) };
        let mut wishes = Self::default();
        let mut rest = Vec::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = || percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "sslmode" => wishes.mode = Some(value()),
                "sslrootcert" => wishes.roots = Some(value()),
                "sslcert" | "sslkey" => return Err(format!("its URL says `{name}`: client certificates are not supported")),
                _ => rest.push(pair),
            }
        }
        let url = if rest.is_empty() { before.to_owned() } else { format!("{before}?{}", rest.join("&")) };
        match (wishes.mode.as_deref(), &wishes.roots) {
            (None | Some("disable" | "prefer" | "require"), Some(_)) => {
                Err("its URL says `sslrootcert`, which nothing looks at without `sslmode=verify-full`".to_owned())
            }
            (None | Some("disable" | "prefer" | "require" | "verify-full"), _) => Ok((url, wishes)),
            (Some("verify-ca"), _) => Err("its URL says `sslmode=verify-ca`, which is not supported: write `verify-full`".to_owned()),
            (Some(_), _) => Err("its URL's `sslmode` is none of disable, prefer, require and verify-full".to_owned()),
        }
    }

    /// Returns whether and how the connection is to be encrypted.
    pub(super) fn mode(&self) -> postgres::config::SslMode {
        use postgres::config::SslMode;
        match self.mode.as_deref() {
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-full") => SslMode::Require,
            Some(_) | None => SslMode::Prefer,
        }
    }

    /// Makes what encrypts. Reads the file of the roots, where one is named.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn connector(&self) -> Result<Tls, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        let config = match (self.mode.as_deref(), &self.roots) {
            (Some("verify-full"), Some(path)) => builder.with_root_certificates(roots(Path::new(path))?).with_no_client_auth(),
            (Some("verify-full"), None) => {
                let verifier = Verifier::new(provider).map_err(|error| error.to_string())?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
            }
            (Some(_) | None, _) => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone { provider })).with_no_client_auth()
            }
        };
        Ok(Tls { config: Arc::new(config) })
    }
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let unreadable = |error: rustls::pki_types::pem::Error| format!("the certificates in {} cannot be read: {error}", path.display());
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        store.add(certificate.map_err(unreadable)?).map_err(|error| format!("a certificate in {} is none: {error}", path.display()))?;
    }
    if store.is_empty() { Err(format!("{} holds no certificate", path.display())) } else { Ok(store) }
}

/// Encrypts without looking at who the server is: what `prefer` and `require` ask for.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Makes encrypted connections.
#[derive(Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = Handshake;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Self::Error> {
        Ok(Handshake { name: ServerName::try_from(host)?.to_owned(), config: Arc::clone(&self.config) })
    }
}

/// A connection that is about to be encrypted.
pub(super) struct Handshake {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move { TlsConnector::from(self.config).connect(self.name, socket).await.map(|inner| Encrypted(Box::new(inner))) })
    }
}

/// An encrypted connection.
pub(super) struct Encrypted(Box<tokio_rustls::client::TlsStream<Socket>>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says_of_tls_is_what_libpq_would_understand() {
        use postgres::config::SslMode;
        for (query, rest, mode) in [
            ("", "", SslMode::Prefer),
            ("?sslmode=disable", "", SslMode::Disable),
            ("?a=1&sslmode=require&b=2", "?a=1&b=2", SslMode::Require),
            ("?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem", "", SslMode::Require),
        ] {
            let (url, wishes) = Wishes::read(&format!("postgres://h/d{query}")).unwrap();
            assert_eq!((url, wishes.mode()), (format!("postgres://h/d{rest}"), mode), "{query}");
        }
        let (_, wishes) = Wishes::read("postgres://h/d?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem").unwrap();
        assert_eq!(wishes.roots.as_deref(), Some("/etc/ca.pem"));
    }

    #[test]
    fn what_is_not_supported_is_refused_and_no_url_is_shown() {
        for query in ["sslmode=verify-ca", "sslmode=canary", "sslrootcert=canary", "sslmode=require&sslrootcert=canary", "sslcert=canary"] {
            let why = Wishes::read(&format!("postgres://me:canary@h/d?{query}")).unwrap_err();
            assert!(!why.contains("canary"), "{why}");
        }
        let (_, wishes) = Wishes::read("postgres://h/d?sslmode=verify-full&sslrootcert=/nowhere/ca.pem").unwrap();
        assert!(wishes.connector().unwrap_err().contains("/nowhere/ca.pem"));
    }
}
