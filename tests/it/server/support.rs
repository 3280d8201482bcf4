//! A server on a free port with a handler that counts, and a client that writes raw bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrostctl::server::{BodyError, Config, Drained, Handler, Listener, Peer, RequestBody, Server, Stats, Stop};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Longest wait for anything that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// What the handler saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Requests that reached the handler.
    pub(crate) hits: AtomicUsize,
    /// Requests whose body was read to its end.
    pub(crate) complete: AtomicUsize,
    /// What was answered, in order.
    pub(crate) log: Mutex<Vec<String>>,
    /// Bodies and futures of `/pending` and `/endless` that were dropped.
    pub(crate) dropped: Semaphore,
    /// Requests of `/pending` and `/gate` that have begun.
    pub(crate) begun: Semaphore,
    /// Lets `/gate` answer, once per permit.
    pub(crate) gate: Semaphore,
}

impl Default for Seen {
    fn default() -> Self {
        let none = || Semaphore::new(0);
        Self {
            hits: AtomicUsize::new(0),
            complete: AtomicUsize::new(0),
            log: Mutex::default(),
            dropped: none(),
            begun: none(),
            gate: none(),
        }
    }
}

impl Seen {
    pub(crate) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
    pub(crate) fn complete(&self) -> usize {
        self.complete.load(Ordering::SeqCst)
    }
}

/// Waits for one permit of a semaphore, and takes it.
pub(crate) async fn wait_for(semaphore: &Semaphore, what: &str) {
    tokio::time::timeout(SOON, semaphore.acquire()).await.expect(what).unwrap().forget();
}

/// Paths: `/deny` answers 401 without reading the body, `/pending` never answers, `/endless` streams nothing, `/flood` streams without
/// end, `/gate` answers when the test says so, anything else echoes `METHOD target length`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Echo(pub(crate) Arc<Seen>);

struct Dropped(Arc<Seen>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.add_permits(1);
    }
}

struct Endless {
    chunk: Option<Bytes>,
    _dropped: Dropped,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        match &self.chunk {
            Some(chunk) => std::task::Poll::Ready(Some(Ok(http_body::Frame::data(chunk.clone())))),
            None => std::task::Poll::Pending,
        }
    }
}

pub(crate) type AnyBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

fn text(status: u16, text: String) -> Response<AnyBody> {
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

impl Handler for Echo {
    type Body = AnyBody;

    async fn handle(&self, request: Request<RequestBody>, peer: Peer) -> Response<AnyBody> {
        self.0.hits.fetch_add(1, Ordering::SeqCst);
        let (head, body) = request.into_parts();
        match head.uri.path() {
            "/deny" => return text(401, "no".to_owned()),
            "/peer" => return text(200, format!("{peer:?}")),
            "/pending" => {
                let _dropped = Dropped(Arc::clone(&self.0));
                self.0.begun.add_permits(1);
                std::future::pending::<()>().await;
            }
            "/endless" | "/flood" => {
                let chunk = (head.uri.path() == "/flood").then(|| Bytes::from(vec![b'x'; 64 * 1024]));
                let body = Endless { chunk, _dropped: Dropped(Arc::clone(&self.0)) };
                return Response::new(body.boxed_unsync());
            }
            "/gate" => {
                self.0.begun.add_permits(1);
                self.0.gate.acquire().await.unwrap().forget();
            }
            _ => {}
        }
        match body.collect_capped(1 << 20).await {
            Ok(bytes) => {
                self.0.complete.fetch_add(1, Ordering::SeqCst);
                let line = format!("{} {} {}", head.method, head.uri, bytes.len());
                self.0.log.lock().unwrap().push(line.clone());
                text(200, line)
            }
            Err(BodyError::TooLarge { .. }) => text(413, "large".to_owned()),
            Err(BodyError::Timeout) => text(408, "slow".to_owned()),
            Err(BodyError::Malformed) => text(400, "malformed".to_owned()),
            Err(BodyError::Disconnected) => text(400, "gone".to_owned()),
        }
    }
}

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) stop: watch::Sender<Stop>,
    pub(crate) done: JoinHandle<Drained>,
}

pub(crate) async fn start(config: Config) -> Running {
    start_on(Listener::tcp("127.0.0.1:0").await.unwrap(), config)
}

pub(crate) fn start_on(listener: Listener, config: Config) -> Running {
    let handler = Echo::default();
    let seen = Arc::clone(&handler.0);
    let server = Server::new(config, handler);
    let stats = server.stats();
    let address = listener.local_addr().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let (stop, signal) = watch::channel(Stop::Run);
    let done = tokio::spawn(async move { server.run(listener, signal).await });
    Running { address, seen, stats, stop, done }
}

impl Running {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends raw bytes on a new connection and returns everything until the server closes.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may refuse, and close, before it has read everything.
        let _ = stream.write_all(bytes).await;
        read_to_close(&mut stream).await
    }

    pub(crate) async fn end(self, stop: Stop) -> Drained {
        self.stop.send(stop).unwrap();
        tokio::time::timeout(SOON, self.done).await.expect("the server drains").unwrap()
    }
}

/// Reads until the other side closes; a reset counts as a close.
pub(crate) async fn read_to_close<T: AsyncRead + Unpin>(stream: &mut T) -> String {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one response with a `Content-Length`; the connection stays open.
pub(crate) async fn read_response<T: AsyncRead + Unpin>(stream: &mut T) -> String {
    let mut bytes = Vec::new();
    let read = async {
        loop {
            let byte = stream.read_u8().await.expect("a response");
            bytes.push(byte);
            let text = String::from_utf8_lossy(&bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse::<usize>().unwrap());
            if body.len() == length {
                return text.into_owned();
            }
        }
    };
    tokio::time::timeout(SOON, read).await.expect("a response in time")
}

/// Returns the status of a raw response.
pub(crate) fn status(response: &str) -> u16 {
    response
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..))
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}

/// Reads one response, past any `100 Continue`.
pub(crate) async fn read_final_response<T: AsyncRead + Unpin>(stream: &mut T) -> String {
    loop {
        let response = read_response(stream).await;
        if status(&response) >= 200 {
            return response;
        }
    }
}
