//! A client that goes away, and bodies that nobody reads.

use std::time::{Duration, Instant};

use bifrostctl::server::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{Running, read_response, read_to_close, start, status, wait_for};

/// Goal of the design: the upstream is cancelled within 100 ms, so the handler must be dropped within them.
const PROMPT: Duration = Duration::from_millis(100);

async fn drop_within_goal(server: &Running, request: &[u8], also: &[u8]) {
    let mut stream = server.connect().await;
    stream.write_all(request).await.unwrap();
    if request.starts_with(b"GET /pending") {
        wait_for(&server.seen.begun, "the request begins").await;
    } else {
        stream.readable().await.unwrap();
    }
    stream.write_all(also).await.unwrap();
    tokio::task::yield_now().await;
    let began = Instant::now();
    drop(stream);
    wait_for(&server.seen.dropped, "the handler is dropped").await;
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_waiting_handler_is_dropped_when_its_client_goes() {
    let server = start(Config::default()).await;
    drop_within_goal(&server, b"GET /pending HTTP/1.1\r\nHost: a\r\n\r\n", b"").await;
}

#[tokio::test]
async fn a_silent_response_body_is_dropped_when_its_client_goes() {
    let server = start(Config::default()).await;
    drop_within_goal(&server, b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n", b"").await;
}

#[tokio::test]
async fn a_pipelined_request_does_not_hide_that_its_client_goes() {
    let server = start(Config::default()).await;
    drop_within_goal(&server, b"GET /pending HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(server.seen.hits(), 1, "the second request is not served for nobody");
}

#[tokio::test]
async fn an_early_refusal_closes_the_connection_when_the_body_is_still_coming() {
    let server = start(Config::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n").await.unwrap();
    let answer = read_response(&mut stream).await;
    assert_eq!(status(&answer), 401);
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    // What looks like a request in the unread body is never one.
    let smuggled = b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("a clean end, not a reset");
    assert_eq!(rest, b"");
    // A client that is still sending would lose the answer to a reset, so the server takes the rest for a while.
    for piece in smuggled.chunks(1000) {
        stream.write_all(piece).await.expect("the server still takes bytes");
        tokio::task::yield_now().await;
    }
    assert_eq!(server.seen.hits(), 1);
}

#[tokio::test]
async fn an_early_refusal_survives_a_client_that_sends_its_whole_body_first() {
    let server = start(Config::default()).await;
    let mut request = b"POST /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 800000\r\n\r\n".to_vec();
    request.resize(request.len() + 800_000, b'x');
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream.write_all(&request).await.expect("the server takes the body, or the answer would be lost");
        assert_eq!(status(&read_to_close(&mut stream).await), 401);
    }
}

#[tokio::test]
async fn an_early_refusal_keeps_the_connection_when_the_body_is_there_already() {
    let server = start(Config::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(b"POST /deny HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        let answer = read_response(&mut stream).await;
        assert_eq!(status(&answer), 401);
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(status(&read_response(&mut stream).await), 200);
}

#[tokio::test]
async fn a_refused_expectation_is_never_told_to_continue() {
    let server = start(Config::default()).await;
    let head = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let mut stream = server.connect().await;
    stream.write_all(head("/deny").as_bytes()).await.unwrap();
    assert_eq!(status(&read_response(&mut stream).await), 401);
    assert_eq!(read_to_close(&mut stream).await, "");
    let mut stream = server.connect().await;
    stream.write_all(head("/v1").as_bytes()).await.unwrap();
    assert_eq!(status(&read_response(&mut stream).await), 100);
    stream.write_all(b"hello").await.unwrap();
    assert!(read_response(&mut stream).await.ends_with("POST /v1 5"));
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_by_its_declaration_or_by_its_size() {
    let server = start(Config::default()).await;
    let declared = server.exchange(b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n").await;
    assert_eq!(status(&declared), 413, "{declared}");
    let mut chunked = b"POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n".to_vec();
    chunked.resize(chunked.len() + 0x10_0001, b'x');
    let found = server.exchange(&chunked).await;
    assert_eq!(status(&found), 413, "{found}");
    assert_eq!(server.seen.complete(), 0);
}
