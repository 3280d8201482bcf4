//! What a request looks like on the wire, pooling, and cancelling.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bifrostctl::provider::{ClientOptions, Clients, Outbound, Policy};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::peer::{OK, Peer, WAITS, client, read_request, until_closed, write};

#[tokio::test]
async fn a_request_arrives_as_it_was_built_and_the_answer_comes_back_whole() {
    let (seen, mut requests) = mpsc::channel(1);
    let peer = Peer::serve(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await.unwrap()).await.unwrap();
            write(&mut stream, "HTTP/1.1 418 I'm a teapot\r\nx-request-id: r1\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nraw")
                .await;
            until_closed(&mut stream).await;
        }
    })
    .await;
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let upstream = client(&peer.destination()).send(Outbound { headers, ..peer.post(r#"{"a":1.10}"#) }, WAITS).await.unwrap();
    assert_eq!(upstream.status, StatusCode::IM_A_TEAPOT);
    assert_eq!(upstream.headers.get("x-request-id").unwrap(), "r1");
    assert_eq!(upstream.headers.get("content-encoding").unwrap(), "gzip", "nothing is decompressed");
    assert_eq!(upstream.body.collect().await.unwrap().to_bytes(), "raw");

    let request = requests.recv().await.unwrap();
    let lower = request.to_ascii_lowercase();
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1.10}"), "{request}");
    assert!(lower.contains("\r\ncontent-length: 10\r\n"), "{request}");
    assert!(lower.contains(concat!("\r\nuser-agent: bifrostctl/", env!("CARGO_PKG_VERSION"), "\r\n")), "{request}");
    assert!(lower.contains(&format!("\r\nhost: {}\r\n", peer.address)), "{request}");
    for absent in ["accept-encoding", "transfer-encoding", "referer", "cookie"] {
        assert!(!lower.contains(&format!("\r\n{absent}:")), "{request}");
    }
}

#[tokio::test]
async fn a_get_without_a_body_sends_none() {
    let (seen, mut requests) = mpsc::channel(1);
    let peer = Peer::serve(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await.unwrap()).await.unwrap();
            write(&mut stream, OK).await;
        }
    })
    .await;
    let path = peer.destination().endpoint("/models", None).unwrap();
    let outbound = Outbound { method: Method::GET, path, headers: HeaderMap::new(), body: Bytes::new().into() };
    client(&peer.destination()).send(outbound, WAITS).await.unwrap();
    let request = requests.recv().await.unwrap().to_ascii_lowercase();
    assert!(request.starts_with("get /v1/models http/1.1\r\n") && request.ends_with("\r\n\r\n"), "{request}");
    assert!(!request.contains("content-length") && !request.contains("transfer-encoding"), "{request}");
}

#[tokio::test]
async fn a_large_answer_is_read_in_small_pieces() {
    const LENGTH: usize = 4 << 20;
    let peer = Peer::serve(|mut stream| async move {
        read_request(&mut stream).await;
        write(&mut stream, &format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n{}", "x".repeat(LENGTH))).await;
    })
    .await;
    let mut body = client(&peer.destination()).send(peer.post("{}"), WAITS).await.unwrap().body;
    let (mut length, mut largest) = (0, 0);
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        (length, largest) = (length + piece.len(), largest.max(piece.len()));
    }
    assert!(length == LENGTH && largest <= 32 << 10, "{length} bytes, at most {largest} at once");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Peer::serve(|mut stream| async move { until_closed(&mut stream).await }).await;
    let location = elsewhere.address;
    let peer = Peer::serve(move |mut stream| async move {
        read_request(&mut stream).await;
        write(&mut stream, &format!("HTTP/1.1 303 See Other\r\nlocation: http://{location}/\r\ncontent-length: 0\r\n\r\n")).await;
    })
    .await;
    let upstream = client(&peer.destination()).send(peer.post("{}"), WAITS).await.unwrap();
    assert_eq!(upstream.status, StatusCode::SEE_OTHER);
    assert_eq!(elsewhere.accepted(), 0);
}

#[tokio::test]
async fn a_connection_is_used_again_once_its_answer_was_read() {
    let peer = Peer::serve(|mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            write(&mut stream, OK).await;
        }
    })
    .await;
    let client = client(&peer.destination());
    for _ in 0..3 {
        let upstream = client.send(peer.post("{}"), WAITS).await.unwrap();
        assert_eq!(upstream.body.collect().await.unwrap().to_bytes(), "ok");
    }
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn an_answer_that_is_over_by_its_format_frees_its_connection_whenever_its_last_chunk_comes() {
    let elsewhere = Peer::serve(|mut stream| async move { until_closed(&mut stream).await }).await;
    for late in [false, true] {
        let (finished, is_finished) = tokio::sync::watch::channel(false);
        let (written, mut is_written) = mpsc::channel(4);
        let peer = Peer::serve(move |mut stream| {
            let (written, mut is_finished) = (written.clone(), is_finished.clone());
            async move {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nDONE\r\n";
                while read_request(&mut stream).await.is_some() {
                    if late {
                        write(&mut stream, head).await;
                        is_finished.wait_for(|is| *is).await.unwrap();
                        write(&mut stream, "0\r\n\r\n").await;
                    } else {
                        write(&mut stream, &format!("{head}0\r\n\r\n")).await;
                    }
                    written.send(()).await.unwrap();
                }
            }
        })
        .await;
        let client = client(&peer.destination());
        let mut upstream = client.send(peer.post("{}"), WAITS).await.unwrap();
        assert_eq!(upstream.body.frame().await.unwrap().unwrap().into_data().unwrap(), "DONE");
        upstream.body.into_inner().finish();
        finished.send(true).unwrap();
        is_written.recv().await.unwrap();
        // On this one thread, what came before this connection was made has been noticed with it.
        TcpStream::connect(elsewhere.address).await.unwrap();
        tokio::task::yield_now().await;
        client.send(peer.post("{}"), WAITS).await.unwrap().body.collect().await.unwrap();
        assert_eq!(peer.accepted(), 1, "late: {late}");
    }
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_before_the_server_would() {
    let (closed, mut is_closed) = mpsc::channel(1);
    let peer = Peer::serve(move |mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            write(&mut stream, OK).await;
            until_closed(&mut stream).await;
            closed.send(tokio::time::Instant::now()).await.unwrap();
        }
    })
    .await;
    let client = client(&peer.destination());
    client.send(peer.post("{}"), WAITS).await.unwrap().body.collect().await.unwrap();
    // From here on time jumps to whatever is waited for.
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let unused = is_closed.recv().await.unwrap() - started;
    assert!((Duration::from_secs(49)..Duration::from_secs(51)).contains(&unused), "{unused:?}");
}

#[tokio::test]
async fn equal_options_share_a_client_and_an_unused_one_goes() {
    let clients = Arc::new(Clients::default());
    let peer = Peer::serve(|mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            write(&mut stream, OK).await;
        }
    })
    .await;
    let options = ClientOptions::new(&peer.destination(), Duration::from_secs(5));
    let held = clients.get(&options).unwrap();
    // Two tables, one after the other: the second gets the pools of the first, warm.
    for _ in 0..2 {
        let client = clients.get(&options).unwrap();
        let upstream = client.send(peer.post("{}"), WAITS).await.unwrap();
        upstream.body.collect().await.unwrap();
    }
    assert_eq!(peer.accepted(), 1);
    let other = clients.get(&ClientOptions { connect: Duration::from_secs(6), ..options.clone() }).unwrap();
    let public = clients.get(&ClientOptions { policy: Policy::Public, ..options }).unwrap();
    assert_eq!(clients.len(), 3);
    drop((held, other));
    assert_eq!(clients.len(), 1);
    drop(public);
    assert!(clients.is_empty());
}

/// Serves one request with `answer` (a head and one piece, or nothing), drops it while more is awaited, and returns how long the peer had
/// to wait for the end of the connection.
async fn closed_after_drop(answer: &'static str) -> Duration {
    let (waiting, mut is_waiting) = mpsc::channel(1);
    let (closed, mut is_closed) = mpsc::channel(1);
    let arrived = waiting.clone();
    let peer = Peer::serve(move |mut stream| {
        let (arrived, closed) = (arrived.clone(), closed.clone());
        async move {
            read_request(&mut stream).await.unwrap();
            write(&mut stream, answer).await;
            if answer.is_empty() {
                arrived.send(()).await.unwrap();
            }
            until_closed(&mut stream).await;
            closed.send(Instant::now()).await.unwrap();
        }
    })
    .await;
    let (client, outbound) = (client(&peer.destination()), peer.post("{}"));
    let request = tokio::spawn(async move {
        let mut upstream = client.send(outbound, WAITS).await.unwrap();
        upstream.body.frame().await.unwrap().unwrap();
        waiting.send(()).await.unwrap();
        // Nothing more comes; the task ends here when it is aborted.
        upstream.body.frame().await.unwrap().unwrap();
    });
    is_waiting.recv().await.unwrap();
    let dropped = Instant::now();
    request.abort();
    is_closed.recv().await.unwrap().duration_since(dropped)
}

#[tokio::test]
async fn dropping_a_half_read_stream_closes_the_upstream_connection_within_100_ms() {
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n7\r\ndata: 1\r\n";
    assert!(closed_after_drop(stream).await < Duration::from_millis(100));
}

#[tokio::test]
async fn dropping_a_request_that_waits_for_its_head_closes_the_upstream_connection_within_100_ms() {
    assert!(closed_after_drop("").await < Duration::from_millis(100));
}
