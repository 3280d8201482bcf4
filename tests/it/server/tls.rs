//! TLS with reload, and HTTP/2 by ALPN and by prior knowledge.

use std::path::Path;
use std::sync::Arc;

use bifrostctl::server::{Acceptor, Config, Reason, Stop, TlsError};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::support::{Running, read_response, read_to_close, start, status, wait_for};

/// Writes a new self-signed pair and returns the certificate.
fn write_pair(place: &Path) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(place.join("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(place.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    CertificateDer::from_pem_slice(pair.cert.pem().as_bytes()).unwrap()
}

async fn start_tls(place: &Path) -> (Running, Acceptor) {
    let acceptor = Acceptor::from_pem_files(&place.join("cert.pem"), &place.join("key.pem")).unwrap();
    (start(Config { tls: Some(acceptor.clone()), ..Config::default() }).await, acceptor)
}

async fn connect(server: &Running, trusted: &CertificateDer<'static>, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await
}

async fn http2<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: T) -> SendRequest<Empty<Bytes>> {
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(sender: &mut SendRequest<Empty<Bytes>>, method: &str, uri: &str) -> Result<(StatusCode, String), hyper::Error> {
    let request = Request::builder().method(method).uri(uri).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

#[tokio::test]
async fn tls_serves_both_protocols_by_alpn() {
    let place = tempfile::tempdir().unwrap();
    let certificate = write_pair(place.path());
    let (server, _) = start_tls(place.path()).await;
    let mut stream = connect(&server, &certificate, &["http/1.1"]).await.unwrap();
    stream.write_all(b"GET /peer HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = read_response(&mut stream).await;
    assert!(answer.contains("tls: true"), "{answer}");

    let stream = connect(&server, &certificate, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut sender = http2(stream).await;
    let answer = send(&mut sender, "GET", "https://localhost/v1").await.unwrap();
    assert_eq!(answer, (StatusCode::OK, "GET https://localhost/v1 0".to_owned()));
}

#[tokio::test]
async fn the_gate_stands_before_tls_connections_too() {
    let place = tempfile::tempdir().unwrap();
    let certificate = write_pair(place.path());
    let (server, _) = start_tls(place.path()).await;
    let mut stream = connect(&server, &certificate, &[]).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await.unwrap();
    let answer = read_to_close(&mut stream).await;
    assert!(answer.ends_with(&Reason::LengthAndCoding.json()), "{answer}");
    assert_eq!(server.seen.hits(), 0);
}

#[tokio::test]
async fn a_reload_serves_the_new_certificate_and_a_bad_one_keeps_the_old() {
    let place = tempfile::tempdir().unwrap();
    let old = write_pair(place.path());
    let (server, acceptor) = start_tls(place.path()).await;
    let mut kept = connect(&server, &old, &[]).await.unwrap();

    let new = write_pair(place.path());
    assert!(connect(&server, &new, &[]).await.is_err(), "files alone change nothing");
    let read = acceptor.read().unwrap();
    assert!(connect(&server, &new, &[]).await.is_err(), "nor does reading them");
    acceptor.renew(read);
    connect(&server, &new, &[]).await.unwrap();
    assert!(connect(&server, &old, &[]).await.is_err());

    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(place.path().join("key.pem"), other.signing_key.serialize_pem()).unwrap();
    assert!(matches!(acceptor.read(), Err(TlsError::Mismatch(_))));
    std::fs::write(place.path().join("key.pem"), "").unwrap();
    assert!(matches!(acceptor.read(), Err(TlsError::Key { .. })));
    std::fs::write(place.path().join("cert.pem"), "no certificate").unwrap();
    assert!(matches!(acceptor.read(), Err(TlsError::Certificate { .. })));
    connect(&server, &new, &[]).await.unwrap();

    kept.write_all(b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(status(&read_response(&mut kept).await), 200, "open connections live on");
}

#[tokio::test]
async fn a_failed_handshake_is_counted_and_a_plain_request_is_not_answered() {
    let place = tempfile::tempdir().unwrap();
    write_pair(place.path());
    let (server, _) = start_tls(place.path()).await;
    let answer = server.exchange(b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(!answer.contains("HTTP/"), "{answer}");
    assert_eq!((server.stats.tls_failures(), server.seen.hits()), (1, 0));
}

#[tokio::test]
async fn http2_by_prior_knowledge_is_served_and_judged() {
    let server = start(Config::default()).await;
    let mut sender = http2(server.connect().await).await;
    assert_eq!(send(&mut sender, "POST", "http://a:80/v1?x=1").await.unwrap(), (StatusCode::OK, "POST http://a:80/v1?x=1 0".to_owned()));
    let refused = [
        ("GET", "http://a/v1//x", Reason::DotPath),
        ("GET", "http://a/../x", Reason::DotPath),
        ("GET", "http://a/v1%2fx", Reason::EncodedPath),
        ("GET", "http://u@a/v1", Reason::HostInvalid),
        ("TRACE", "http://a/v1", Reason::Method),
    ];
    for (method, uri, reason) in refused {
        let (status, body) = send(&mut sender, method, uri).await.unwrap();
        assert_eq!((status.as_u16(), body), (reason.status(), reason.json()), "{method} {uri}");
        assert_eq!(server.stats.refused(reason), if uri.contains("..") { 2 } else { 1 });
    }
    assert_eq!(server.seen.hits(), 1);
    assert_eq!(send(&mut sender, "GET", "http://a/v1").await.unwrap().0, StatusCode::OK, "the connection lives on");
}

#[tokio::test]
async fn an_http2_stream_that_is_reset_drops_its_handler() {
    let server = start(Config::default()).await;
    let mut sender = http2(server.connect().await).await;
    for path in ["pending", "endless"] {
        let request = Request::get(format!("http://a/{path}")).body(Empty::<Bytes>::new()).unwrap();
        let pending = sender.send_request(request);
        if path == "pending" {
            let task = tokio::spawn(pending);
            wait_for(&server.seen.begun, "the request begins").await;
            task.abort();
        } else {
            drop(pending.await.unwrap());
        }
        wait_for(&server.seen.dropped, "the handler is dropped").await;
    }
    assert_eq!(send(&mut sender, "GET", "http://a/v1").await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn a_drain_lets_http2_streams_finish_and_takes_no_new_ones() {
    let server = start(Config::default()).await;
    let mut sender = http2(server.connect().await).await;
    let request = Request::get("http://a/gate").body(Empty::<Bytes>::new()).unwrap();
    let running = tokio::spawn(sender.send_request(request));
    wait_for(&server.seen.begun, "the request begins").await;
    server.stop.send(Stop::Drain).unwrap();
    server.seen.gate.add_permits(1);
    assert_eq!(running.await.unwrap().unwrap().status(), StatusCode::OK);
    let drained = tokio::time::timeout(super::support::SOON, server.done).await.unwrap().unwrap();
    assert_eq!((drained.finished, drained.aborted), (1, 0));
    let late: Result<_, hyper::Error> = send(&mut sender, "GET", "http://a/v1").await;
    assert!(late.is_err());
}
