//! Start, caps, drain, Unix sockets.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bifrostctl::server::{BindError, Config, Drained, Listener, Stop};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};

use super::support::{SOON, read_response, read_to_close, start, start_on, status, wait_for};

const GET: &[u8] = b"GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_drain_finishes_what_runs_closes_what_idles_and_refuses_what_is_new() {
    let server = start(Config::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(GET).await.unwrap();
    read_response(&mut idle).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    wait_for(&server.seen.begun, "the request begins").await;

    server.stop.send(Stop::Drain).unwrap();
    assert_eq!(read_to_close(&mut idle).await, "");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
    server.seen.gate.add_permits(1);
    let answer = read_to_close(&mut busy).await;
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    let drained = tokio::time::timeout(SOON, server.done).await.unwrap().unwrap();
    assert_eq!(drained.aborted, 0);
    assert_eq!(server.stats.open(), 0);
}

#[tokio::test]
async fn a_request_that_was_on_its_way_when_the_stop_came_is_served() {
    let server = start(Config::default()).await;
    // Complete for the kernel, but the server has had no chance to run yet (one thread, no await in between that lets it).
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            use std::io::Write as _;
            let mut stream = std::net::TcpStream::connect(server.address).unwrap();
            stream.write_all(GET).unwrap();
            stream
        })
        .collect();
    server.stop.send(Stop::Drain).unwrap();
    for stream in waiting {
        stream.set_nonblocking(true).unwrap();
        let answer = read_to_close(&mut TcpStream::from_std(stream).unwrap()).await;
        assert_eq!(status(&answer), 200, "{answer:?}");
    }
    assert_eq!(server.seen.complete(), 20);
}

#[tokio::test]
async fn the_grace_ends_and_a_second_order_ends_it_at_once() {
    for (grace, stop) in [(Duration::from_millis(50), Stop::Drain), (Duration::from_secs(3600), Stop::Now)] {
        let server = start(Config { grace, ..Config::default() }).await;
        let mut stream = server.connect().await;
        stream.write_all(b"GET /pending HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        wait_for(&server.seen.begun, "the request begins").await;
        let (seen, stats) = (server.seen.clone(), server.stats.clone());
        assert_eq!(server.end(stop).await, Drained { finished: 0, aborted: 1 });
        wait_for(&seen.dropped, "the handler is dropped").await;
        assert_eq!(read_to_close(&mut stream).await, "");
        assert_eq!(stats.open(), 0);
    }
}

#[tokio::test]
async fn a_connection_over_the_cap_gets_503_and_a_later_one_is_served() {
    let server = start(Config { max_connections: 2, ..Config::default() }).await;
    let mut streams = [server.connect().await, server.connect().await];
    for stream in &mut streams {
        stream.write_all(GET).await.unwrap();
        read_response(stream).await;
    }
    let mut third = server.connect().await;
    let answer = read_to_close(&mut third).await;
    assert_eq!(status(&answer), 503);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(json["error"]["code"], "overloaded");
    assert_eq!((server.stats.accepted(), server.stats.over_cap(), server.stats.open()), (3, 1, 2));

    drop(streams);
    let wait = async {
        while server.stats.open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("closed connections leave the gauge");
    let mut fourth = server.connect().await;
    fourth.write_all(GET).await.unwrap();
    assert_eq!(status(&read_response(&mut fourth).await), 200);
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = start(Config::default()).await;
    let mut stream = server.connect().await;
    for n in 0..200 {
        let body = "x".repeat(n * 37);
        stream
            .write_all(format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
            .await
            .unwrap();
        let answer = read_response(&mut stream).await;
        assert!(answer.ends_with(&format!("POST /{n} {}", body.len())), "{answer}");
    }
    assert_eq!(server.stats.accepted(), 1);
    drop(stream);
    assert_eq!(server.end(Stop::Drain).await.aborted, 0);
}

#[tokio::test]
async fn a_unix_socket_is_for_its_owner_and_goes_with_the_server() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("admin.sock");
    let server = start_on(Listener::unix(&path).unwrap(), Config::default());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing else is left there");
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /peer HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = read_response(&mut stream).await;
    let uid = rustix::process::getuid().as_raw();
    assert!(answer.contains(&format!("uid: Some({uid})")), "{answer}");
    drop(stream);
    server.end(Stop::Drain).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("admin.sock");
    // A socket that a killed process left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = Listener::unix(&path).unwrap();
    assert!(matches!(Listener::unix(&path), Err(BindError::InUse(_))));

    // Another process has taken the path over: its file stays.
    std::fs::remove_file(&path).unwrap();
    let second = Listener::unix(&path).unwrap();
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_is_not_a_socket_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("notes.txt");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(Listener::unix(&path), Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = Listener::tcp("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap().to_string();
    let error = Listener::tcp(&address).await.unwrap_err().to_string();
    assert!(error.contains(&address), "{error}");
}
