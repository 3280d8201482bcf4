//! A raw TCP peer on loopback: what it does with each connection is the test's own code.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bifrostctl::provider::{Client, ClientOptions, Clients, Destination, Outbound, Waits};
use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Limits that a test which works never reaches.
pub(crate) const WAITS: Waits = Waits { first_byte: Duration::from_secs(10), idle: Duration::from_secs(10) };

/// A listener whose connections are served by the test's closure; all of it ends when it is dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Peer {
    pub(crate) async fn serve<F, S>(serve: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream));
            }
        });
        Self { address, accepted, _task: task }
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn destination(&self) -> Destination {
        Destination::parse(&format!("http://{}/v1", self.address), None).unwrap()
    }

    pub(crate) fn post(&self, body: &'static str) -> Outbound {
        post(&self.destination(), body)
    }
}

pub(crate) fn post(destination: &Destination, body: &'static str) -> Outbound {
    let path = destination.endpoint("/chat/completions", None).unwrap();
    Outbound { method: Method::POST, path, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()).into() }
}

/// A client of a fresh service, without proxies.
pub(crate) fn client(destination: &Destination) -> Client {
    Clients::default().get(&ClientOptions::new(destination, Duration::from_secs(5))).unwrap()
}

/// Reads one request: head, then as many bytes as its content-length says. `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8(bytes[..head].to_vec()).unwrap().to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |value| value.parse().unwrap());
            if bytes.len() >= head + 4 + length {
                return Some(String::from_utf8(bytes).unwrap());
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

pub(crate) async fn write(stream: &mut TcpStream, text: &str) {
    // A client that went away is what some tests are about.
    let _ = stream.write_all(text.as_bytes()).await;
}

/// Returns once the other side has closed the connection.
pub(crate) async fn until_closed(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {}
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
