//! What waits in the kernel for a client that takes little, on real sockets.
#![cfg(target_os = "linux")]

use std::time::Duration;

use bifrostctl::server::{Config, Reason, Stop};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::support::{Running, start, wait_for};

/// Connects with a small window and asks for an answer without an end.
async fn ask(server: &Running) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    stream.write_all(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    stream
}

#[tokio::test]
async fn little_waits_for_a_client_that_takes_nothing() {
    let server = start(Config { write_stall_timeout: Duration::from_millis(300), ..Config::default() }).await;
    let mut stream = ask(&server).await;
    wait_for(&server.seen.dropped, "the client is cut").await;
    let mut came = Vec::new();
    stream.read_to_end(&mut came).await.unwrap();
    assert!(came.starts_with(b"HTTP/1.1 200") && came.len() < 512 << 10, "{} KiB were on their way", came.len() >> 10);
    assert_eq!(server.stats.refused(Reason::WriteStall), 1);
    server.end(Stop::Drain).await;
}

#[tokio::test]
async fn a_client_that_takes_a_little_at_a_time_is_not_cut() {
    let limit = Duration::from_secs(1);
    let server = start(Config { write_stall_timeout: limit, ..Config::default() }).await;
    let mut stream = ask(&server).await;
    let (began, mut ticks) = (tokio::time::Instant::now(), tokio::time::interval(limit / 20));
    while began.elapsed() < limit * 3 {
        ticks.tick().await;
        stream.read_exact(&mut [0; 4096]).await.unwrap();
    }
    assert_eq!((server.stats.refused(Reason::WriteStall), server.stats.open()), (0, 1));
    drop(stream);
    wait_for(&server.seen.dropped, "the client has left").await;
    server.end(Stop::Drain).await;
}
