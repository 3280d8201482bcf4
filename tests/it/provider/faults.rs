//! Every way an upstream can fail, and the kind it is mapped to.

use std::time::Duration;

use bifrostctl::error::{GatewayError, Kind, Retry};
use bifrostctl::provider::{Destination, IdleBody, Waits};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::peer::{OK, Peer, WAITS, client, post, read_request, until_closed, write};

/// Sends one request to a peer that answers with these bytes and then closes; reads the whole answer.
async fn answered_with(bytes: &'static str) -> Result<Bytes, GatewayError> {
    let peer = Peer::serve(move |mut stream| async move {
        read_request(&mut stream).await;
        write(&mut stream, bytes).await;
    })
    .await;
    let upstream = client(&peer.destination()).send(peer.post("{}"), WAITS).await?;
    Ok(upstream.body.collect().await?.to_bytes())
}

#[tokio::test]
async fn a_refused_connection_is_a_connect_error_that_the_same_target_may_retry() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let destination = Destination::parse(&format!("http://{address}/secret-path"), None).unwrap();
    let error = client(&destination).send(post(&destination, "{}"), WAITS).await.unwrap_err();
    assert_eq!(error.kind, Kind::UpstreamConnect);
    assert_eq!(error.kind.retry(), Retry::Same);
    assert_eq!(error.public, "could not connect to the provider");
    let detail = error.detail.unwrap();
    assert!(detail.contains("refused"), "{detail}");
    assert!(!detail.contains("secret-path"), "{detail}");
}

#[tokio::test]
async fn a_connection_closed_before_any_answer_is_a_connect_error() {
    let error = answered_with("").await.unwrap_err();
    assert_eq!((error.kind, error.public.as_str()), (Kind::UpstreamConnect, "the provider closed the connection before it answered"));
}

#[tokio::test]
async fn a_pooled_connection_that_the_server_closes_on_our_request_is_a_connect_error_and_is_not_sent_twice() {
    let peer = Peer::serve(|mut stream| async move {
        read_request(&mut stream).await;
        write(&mut stream, OK).await;
        // The keep-alive ends as the second request arrives: it was read, and may have been acted upon.
        read_request(&mut stream).await;
    })
    .await;
    let client = client(&peer.destination());
    client.send(peer.post("{}"), WAITS).await.unwrap().body.collect().await.unwrap();
    tokio::task::yield_now().await;
    let error = client.send(peer.post("{}"), WAITS).await.unwrap_err();
    assert_eq!(error.kind, Kind::UpstreamConnect);
    assert_eq!(peer.accepted(), 1, "whether a request is sent again is the pipeline's decision");
}

#[tokio::test]
async fn bytes_that_are_not_http_are_malformed() {
    for garbage in ["SSH-2.0-OpenSSH_9.6\r\n", "\0\u{1}\u{2}\u{3}\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nbad header\r\n\r\n"]
    {
        let error = answered_with(garbage).await.unwrap_err();
        assert_eq!(error.kind, Kind::UpstreamMalformed, "{garbage:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_early_is_truncated_and_a_broken_chunk_is_malformed() {
    for (bytes, kind) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", Kind::UpstreamTruncated),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal", Kind::UpstreamTruncated),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", Kind::UpstreamTruncated),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhalf\r\n", Kind::UpstreamMalformed),
    ] {
        let error = answered_with(bytes).await.unwrap_err();
        assert_eq!(error.kind, kind, "{bytes:?}: {error:?}");
        assert!(error.detail.is_some());
    }
    assert_eq!(answered_with("HTTP/1.1 200 OK\r\n\r\nto the end").await.unwrap(), "to the end");
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_a_timeout() {
    let peer = Peer::serve(|mut stream| async move { until_closed(&mut stream).await }).await;
    let waits = Waits { first_byte: Duration::from_millis(50), ..WAITS };
    let error = client(&peer.destination()).send(peer.post("{}"), waits).await.unwrap_err();
    assert_eq!(error.kind, Kind::UpstreamTimeout);
    assert_eq!(error.detail.unwrap(), "no response head within 50 ms");
}

#[tokio::test]
async fn a_body_that_falls_silent_is_a_timeout() {
    let peer = Peer::serve(|mut stream| async move {
        read_request(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
        until_closed(&mut stream).await;
    })
    .await;
    let waits = Waits { idle: Duration::from_millis(50), ..WAITS };
    let mut upstream = client(&peer.destination()).send(peer.post("{}"), waits).await.unwrap();
    assert_eq!(upstream.body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    let error = upstream.body.frame().await.unwrap().unwrap_err();
    assert_eq!((error.kind, error.detail.as_deref()), (Kind::UpstreamTimeout, Some("no bytes for 50 ms")));
}

#[tokio::test(start_paused = true)]
async fn a_slow_but_steady_body_and_a_slow_reader_are_not_silence() {
    let pieces = stream::iter(0..5).then(|piece| async move {
        tokio::time::sleep(Duration::from_millis(900)).await;
        Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![piece])))
    });
    let mut body = Box::pin(IdleBody::new(StreamBody::new(pieces), Duration::from_secs(1)));
    let start = Instant::now();
    for piece in 0..5 {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), vec![piece]);
        // The reader takes its time: the upstream is not to blame.
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    assert!(body.frame().await.is_none());
    assert_eq!(start.elapsed(), Duration::from_millis(5 * 30_900));
}

#[tokio::test(start_paused = true)]
async fn silence_is_measured_from_the_last_piece_and_ends_on_time() {
    let pieces = stream::iter([300_u64, 1_500]).then(|pause| async move {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"x")))
    });
    let mut body = Box::pin(IdleBody::new(StreamBody::new(pieces), Duration::from_secs(1)));
    let start = Instant::now();
    body.frame().await.unwrap().unwrap();
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::UpstreamTimeout);
    assert_eq!(start.elapsed(), Duration::from_millis(1_300));
}
