//! Every way to be slow, on in-memory streams and paused time.

use std::sync::Arc;
use std::time::Duration;

use bifrostctl::server::{Config, Peer, Reason, Server, Stats, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::support::{Echo, Seen, read_response, status};

const HEAD: &[u8] = b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";

struct Client {
    stream: DuplexStream,
    seen: Arc<Seen>,
    stats: Arc<Stats>,
    began: Instant,
    _stop: watch::Sender<Stop>,
}

/// Connects to a server of the default configuration through a pipe of `capacity` bytes.
fn connect(capacity: usize) -> Client {
    let (stream, far) = tokio::io::duplex(capacity);
    let handler = Echo::default();
    let seen = Arc::clone(&handler.0);
    let server = Server::new(Config::default(), handler);
    let stats = server.stats();
    let (stop, signal) = watch::channel(Stop::Run);
    tokio::spawn(async move { server.serve_stream(far, Peer::default(), signal).await });
    Client { stream, seen, stats, began: Instant::now(), _stop: stop }
}

impl Client {
    /// Writes `piece` every `pause` until the server closes; returns what it said and after how long.
    async fn drip(mut self, piece: &[u8], pause: Duration) -> (String, Duration, Arc<Seen>, Arc<Stats>) {
        let (mut reader, mut writer) = tokio::io::split(self.stream);
        let piece = piece.to_vec();
        let dripping = tokio::spawn(async move {
            while writer.write_all(&piece).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        });
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(3600), reader.read_to_end(&mut answer)).await.expect("the server cuts it");
        let took = self.began.elapsed();
        dripping.abort();
        self.began = Instant::now();
        (String::from_utf8(answer).unwrap(), took, self.seen, self.stats)
    }
}

fn about(took: Duration, secs: u64) {
    let expected = Duration::from_secs(secs);
    assert!(took >= expected && took < expected + Duration::from_millis(2500), "{took:?}, not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_without_a_word() {
    let (answer, took, seen, stats) = connect(1024).drip(b"", Duration::from_secs(3600)).await;
    assert_eq!((answer.as_str(), seen.hits(), stats.refused(Reason::Silent)), ("", 0, 1));
    about(took, 10);
}

#[tokio::test(start_paused = true)]
async fn a_dripping_head_is_cut_with_408() {
    let mut client = connect(1024);
    client.stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: a\r\nX-A: ").await.unwrap();
    let (answer, took, seen, stats) = client.drip(b"b", Duration::from_secs(1)).await;
    assert_eq!((status(&answer), seen.hits(), stats.refused(Reason::HeadTimeout)), (408, 0, 1));
    about(took, 10);
}

#[tokio::test(start_paused = true)]
async fn whole_header_lines_one_by_one_do_not_buy_time() {
    let mut client = connect(1024);
    client.stream.write_all(b"GET /v1 HTTP/1.1\r\n").await.unwrap();
    let (answer, took, seen, _) = client.drip(b"X-A: b\r\n", Duration::from_secs(2)).await;
    assert_eq!((status(&answer), seen.hits()), (408, 0));
    about(took, 10);
}

#[tokio::test(start_paused = true)]
async fn a_second_head_that_drips_on_a_kept_connection_is_cut_too() {
    let mut client = connect(1024);
    client.stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(status(&read_response(&mut client.stream).await), 200);
    tokio::time::sleep(Duration::from_secs(20)).await;
    client.began = Instant::now();
    let (answer, took, _, stats) = client.drip(b"G", Duration::from_secs(1)).await;
    assert_eq!((status(&answer), stats.refused(Reason::HeadTimeout)), (408, 1));
    about(took, 10);
}

#[tokio::test(start_paused = true)]
async fn a_dripping_body_is_cut_by_its_rate() {
    let mut client = connect(1024);
    client.stream.write_all(HEAD).await.unwrap();
    let (answer, took, seen, _) = client.drip(b"x", Duration::from_secs(1)).await;
    assert_eq!((status(&answer), seen.complete()), (408, 0), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    about(took, 10);
}

#[tokio::test(start_paused = true)]
async fn a_silent_body_is_cut_by_its_idle_limit() {
    let mut client = connect(1 << 20);
    client.stream.write_all(HEAD).await.unwrap();
    client.stream.write_all(&vec![b'x'; 500_000]).await.unwrap();
    let (answer, took, seen, _) = client.drip(b"", Duration::from_secs(3600)).await;
    assert_eq!((status(&answer), seen.complete()), (408, 0), "{answer}");
    about(took, 30);
}

#[tokio::test(start_paused = true)]
async fn a_slow_but_steady_body_is_served() {
    let mut client = connect(1 << 20);
    client.stream.write_all(b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n").await.unwrap();
    for _ in 0..100 {
        client.stream.write_all(&[b'x'; 2000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    let answer = read_response(&mut client.stream).await;
    assert!(answer.ends_with("POST /v1 200000"), "{answer}");
    assert!(client.began.elapsed() > Duration::from_secs(149));
}

#[tokio::test(start_paused = true)]
async fn an_idle_kept_connection_is_closed_after_its_limit() {
    let mut client = connect(1024);
    for _ in 0..3 {
        client.stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert_eq!(status(&read_response(&mut client.stream).await), 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    client.began = Instant::now();
    let (answer, took, seen, stats) = client.drip(b"", Duration::from_secs(3600)).await;
    assert_eq!((answer.as_str(), seen.hits(), stats.refused(Reason::Idle)), ("", 3, 1));
    about(took, 15);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_and_its_body_dropped() {
    let mut client = connect(1024);
    client.stream.write_all(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let began = Instant::now();
    client.seen.dropped.acquire().await.unwrap().forget();
    about(began.elapsed(), 30);
    assert_eq!(client.stats.refused(Reason::WriteStall), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_not_cut() {
    let mut client = connect(1024);
    client.stream.write_all(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut space = [0; 512];
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(client.stream.read(&mut space).await.unwrap() > 0);
    }
    assert_eq!(client.seen.dropped.available_permits(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_running_request_is_under_no_timer_of_the_connection() {
    let mut client = connect(1024);
    client.stream.write_all(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    client.seen.gate.add_permits(1);
    assert_eq!(status(&read_response(&mut client.stream).await), 200);
}

#[tokio::test(start_paused = true)]
async fn an_idle_http2_connection_is_told_to_go_and_then_closed() {
    let mut client = connect(1 << 16);
    // Preface and an empty SETTINGS frame; then nothing, not even an acknowledgement.
    client.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut bytes = Vec::new();
    tokio::time::timeout(Duration::from_secs(3600), client.stream.read_to_end(&mut bytes)).await.expect("closed").unwrap();
    assert!(client.began.elapsed() <= Duration::from_secs(90), "{:?}", client.began.elapsed());
    assert_eq!(client.seen.hits(), 0);
}
