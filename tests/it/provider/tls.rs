//! TLS: a trusted certificate is accepted, every other is refused before a byte of the request leaves.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bifrostctl::error::{GatewayError, Kind};
use bifrostctl::provider::{ClientOptions, Clients, Destination};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::peer::{OK, Peer, WAITS, post};

/// A certificate authority, and a server certificate of it for `name`.
fn certificates(name: &str) -> (CertificateDer<'static>, rustls::ServerConfig) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    (authority.der().clone(), config)
}

/// The variable that tells the child of the last test where to dial.
const CHILD: &str = "BIFROSTCTL_TEST_DIAL";

/// Dials a TLS server whose certificate is for `name`; says what came of it, and what the server agreed on and read.
async fn dial(name: &str, trusted: bool) -> (Result<u16, GatewayError>, Option<(Option<Vec<u8>>, usize)>) {
    let (root, mut config) = certificates(name);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (seen, mut handshakes) = mpsc::channel(1);
    let peer = Peer::serve(move |stream| {
        let (acceptor, seen) = (acceptor.clone(), seen.clone());
        async move {
            let Ok(mut tls) = acceptor.accept(stream).await else { return };
            let mut buffer = [0; 4096];
            let count = tls.read(&mut buffer).await.unwrap_or(0);
            let agreed = tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            seen.send((agreed, count)).await.unwrap();
            tls.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let destination = Destination::parse(&format!("https://{}/v1", peer.address), None).unwrap();
    let clients = if trusted { Clients::default().trust(vec![root]) } else { Clients::default().trust(vec![certificates("x").0]) };
    let client = clients.get(&ClientOptions::new(&destination, Duration::from_secs(5))).unwrap();
    let result = client.send(post(&destination, "{}"), WAITS).await.map(|upstream| upstream.status.as_u16());
    (result, handshakes.try_recv().ok())
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_accepted_and_http_1_is_spoken() {
    let (result, seen) = dial("127.0.0.1", true).await;
    assert_eq!(result.unwrap(), 200);
    let (agreed, read) = seen.unwrap();
    assert_eq!(agreed.as_deref(), Some(b"http/1.1".as_slice()));
    assert!(read > 0);
}

#[tokio::test]
async fn an_unknown_authority_or_another_name_is_a_connect_error_and_nothing_is_sent() {
    for (name, trusted) in [("127.0.0.1", false), ("other.test", true)] {
        let (result, seen) = dial(name, trusted).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind, Kind::UpstreamConnect, "{error:?}");
        assert!(error.detail.as_deref().is_some_and(|detail| detail.contains("certificate")), "{error:?}");
        assert!(seen.is_none_or(|(_, read)| read == 0), "no request left");
    }
}

#[tokio::test]
async fn a_bundle_named_in_ssl_cert_file_is_trusted() {
    let (root, config) = certificates("127.0.0.1");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let peer = Peer::serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut tls) = acceptor.accept(stream).await else { return };
            assert_ne!(tls.read(&mut [0; 4096]).await.unwrap(), 0);
            tls.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let bundle = tempfile::NamedTempFile::new().unwrap();
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &root);
    std::fs::write(bundle.path(), format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")).unwrap();
    // A process of its own, since the environment of this one belongs to every test.
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "provider::tls::child_dials_with_the_bundle_of_its_environment", "--ignored"]);
    child.env(CHILD, peer.address.to_string()).env("SSL_CERT_FILE", bundle.path());
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "run by a_bundle_named_in_ssl_cert_file_is_trusted, in a process with its own environment"]
async fn child_dials_with_the_bundle_of_its_environment() {
    let Ok(address) = std::env::var(CHILD) else { return };
    let destination = Destination::parse(&format!("https://{address}/v1"), None).unwrap();
    let client = Clients::default().get(&ClientOptions::new(&destination, Duration::from_secs(5))).unwrap();
    assert_eq!(client.send(post(&destination, "{}"), WAITS).await.unwrap().status.as_u16(), 200);
}
