//! One connection from its first byte to its close: which protocol, hyper behind the gate, refusals, lingering close.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::gate::{self, Exchange, Gate, Reason};
use super::response::Running;
use super::serve::{Stop, draining};
use super::{BoxError, Config, Handler, Peer, RequestBody, ResponseBody, Stats};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// After the stop signal, a connection without a request has this long to send one: its first bytes may be on their way. Its answer says
/// that it is the last, so that a client which is busy never meets a closing socket.
const LAST_CALL: Duration = Duration::from_millis(300);
/// The same where another process has the socket already, so that nobody waits for this one to end: one of 100,203 requests came later than
/// [`LAST_CALL`] over 100 hand-overs on a busy machine.
const LONG_LAST_CALL: Duration = Duration::from_secs(5);
/// How long, and how much, is read and thrown away after an early answer, so that the close does not destroy it on its way.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;
/// What waits for a client that reads slowly, per connection (HTTP/1.1) or stream (HTTP/2).
const WRITE_BUFFER: usize = 32 * 1024;
/// What hyper needs to take the largest head and to know that it is whole.
const READ_ROOM: usize = 8 * 1024;

/// What every connection of a server shares, and who this one is.
pub(super) struct Connection<H> {
    pub(super) config: Arc<Config>,
    pub(super) handler: Arc<H>,
    pub(super) stats: Arc<Stats>,
    pub(super) peer: Peer,
    pub(super) stop: watch::Receiver<Stop>,
}

impl<H: Handler> Connection<H> {
    /// Serves a plain or decrypted stream until it closes.
    pub(super) async fn serve<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(mut self, mut io: T, deadline: Instant) {
        let Some(first) = self.first_bytes(&mut io, deadline).await else {
            return;
        };
        // Boxed, so that a silent connection does not hold room for either protocol, nor one of them for the other.
        if first.starts_with(PREFACE) {
            Box::pin(self.serve_http2(io, first)).await;
        } else {
            Box::pin(self.serve_http1(io, first, deadline)).await;
        }
    }

    /// Waits for enough bytes to tell the protocols apart. A silent connection has no buffer and no parser yet.
    async fn first_bytes<T: AsyncRead + Unpin>(&mut self, io: &mut T, deadline: Instant) -> Option<Vec<u8>> {
        let mut first = Vec::new();
        let mut is_last_call = false;
        let mut silence = pin!(tokio::time::sleep_until(deadline));
        loop {
            tokio::select! {
                biased;
                read = read_some(io) => first.extend(read.ok().filter(|bytes| !bytes.is_empty())?),
                () = draining(&mut self.stop), if !is_last_call => {
                    is_last_call = true;
                    silence.as_mut().reset(deadline.min(Instant::now() + last_call(&self.stop)));
                }
                () = &mut silence => {
                    if !is_last_call {
                        self.stats.count_refused(Reason::Silent);
                    }
                    return None;
                }
            }
            let may_be_preface = PREFACE.starts_with(&first) && first.len() < PREFACE.len();
            if !first.is_empty() && !may_be_preface {
                return Some(first);
            }
        }
    }

    async fn serve_http1<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(mut self, io: T, first: Vec<u8>, deadline: Instant) {
        let exchange = Arc::new(Exchange::default());
        let (handler, peer, timers) = (Arc::clone(&self.handler), self.peer, self.config.body);
        let leaving = Arc::clone(&exchange);
        let gate = Gate::new(io, first, deadline, Arc::clone(&self.config), Arc::clone(&exchange));
        let service = service_fn(move |request: Request<Incoming>| {
            let running = Running::start(&exchange);
            let (handler, exchange) = (Arc::clone(&handler), Arc::clone(&exchange));
            async move {
                let request = request.map(|body| RequestBody::incoming(body, timers, Some(&exchange)));
                let mut response = handler.handle(request, peer).await;
                if exchange.is_last() {
                    // The gateway ends; or nobody will read the rest of this request, so no other request can follow it.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| ResponseBody::handler(body, running)))
            }
        });
        // Head and idle timers are the gate's: hyper's single timer cannot tell an idle client from a dripping one.
        let mut connection = http1::Builder::new()
            .header_read_timeout(None)
            .timer(TokioTimer::new())
            .max_buf_size(WRITE_BUFFER.max(self.config.max_header_bytes) + READ_ROOM)
            .serve_connection(TokioIo::new(gate), service);
        let (mut last, mut is_stopping) = (None, false);
        let ordered = self.stop.clone();
        let _ = loop {
            let served = poll_fn(|cx| {
                // An answer that is written from here on says that it is the last.
                if *ordered.borrow() != Stop::Run {
                    leaving.leave();
                }
                Pin::new(&mut connection).poll(cx)
            });
            tokio::select! {
                biased;
                // First: a request that has come already is served, although the order came as well.
                result = served => break result,
                () = draining(&mut self.stop), if last.is_none() => last = Some(Box::pin(tokio::time::sleep(last_call(&ordered)))),
                () = over(&mut last), if !is_stopping => {
                    is_stopping = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        self.close(connection.into_parts().io.into_inner()).await;
    }

    /// Answers what the gate refused, and reads on for a moment when closing at once could destroy an answer.
    async fn close<T: AsyncRead + AsyncWrite + Unpin>(&self, gate: Gate<T>) {
        let (refusal, needs_answer, is_mid_message) = (gate.refusal(), gate.needs_answer(), gate.is_mid_message());
        if let Some(reason) = refusal {
            self.stats.count_refused(reason);
        }
        if !is_mid_message || refusal == Some(Reason::WriteStall) {
            return;
        }
        let mut io = gate.into_inner();
        let _ = tokio::time::timeout(LINGER, async {
            if let Some(reason) = refusal.filter(|_| needs_answer) {
                io.write_all(reason.answer().as_bytes()).await?;
            }
            io.shutdown().await?;
            let mut left = LINGER_BYTES;
            while left > 0 {
                let came = read_some(&mut io).await?.len();
                if came == 0 {
                    break;
                }
                left = left.saturating_sub(came);
            }
            Ok::<_, io::Error>(())
        })
        .await;
    }

    async fn serve_http2<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(mut self, io: T, first: Vec<u8>) {
        let exchange = Arc::new(Exchange::default());
        let (handler, peer, timers) = (Arc::clone(&self.handler), self.peer, self.config.body);
        let gate = Gate::opaque(io, first, Arc::clone(&self.config), Arc::clone(&exchange));
        let (service_exchange, stats) = (Arc::clone(&exchange), Arc::clone(&self.stats));
        let service = service_fn(move |request: Request<Incoming>| {
            let running = Running::start(&service_exchange);
            let (handler, stats) = (Arc::clone(&handler), Arc::clone(&stats));
            async move {
                let (head, body) = request.into_parts();
                if let Err(reason) = gate::check_http2(&head) {
                    stats.count_refused(reason);
                    return Ok(refusal(reason, running));
                }
                let body = RequestBody::incoming(body, timers, None);
                let response = handler.handle(Request::from_parts(head, body), peer).await;
                Ok::<_, Infallible>(response.map(|body| ResponseBody::handler(body, running)))
            }
        });
        let mut connection = http2_builder(&self.config).serve_connection(TokioIo::new(gate), service);
        let mut is_stopping = false;
        let mut idle = Idle::new(&self.config);
        let _: Result<(), BoxError> = loop {
            tokio::select! {
                biased;
                result = &mut connection => break result.map_err(Into::into),
                () = draining(&mut self.stop), if !is_stopping => {
                    is_stopping = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
                over = idle.is_over(&exchange) => match over {
                    true => break Ok(()),
                    false => Pin::new(&mut connection).graceful_shutdown(),
                }
            }
        };
    }
}

/// Ends an HTTP/2 connection that carries no requests: GOAWAY first, then the end, whether the client agrees or not.
struct Idle {
    limit: Duration,
    farewell: Duration,
    deadline: Instant,
    started: u64,
    is_leaving: bool,
}

impl Idle {
    fn new(config: &Config) -> Self {
        let limit = config.keep_alive_idle;
        Self { limit, farewell: config.head_timeout, deadline: Instant::now() + limit, started: 0, is_leaving: false }
    }

    /// Waits until the connection has been idle for too long; true once it has also had time to say farewell. Cancel safe.
    async fn is_over(&mut self, exchange: &Exchange) -> bool {
        loop {
            tokio::time::sleep_until(self.deadline).await;
            let was_used = exchange.is_busy() || exchange.started() != self.started;
            self.started = exchange.started();
            if was_used {
                self.deadline = Instant::now() + self.limit;
                continue;
            }
            self.deadline = Instant::now() + self.farewell;
            return std::mem::replace(&mut self.is_leaving, true);
        }
    }
}

fn http2_builder(config: &Config) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.max_streams)
        .max_header_list_size(u32::try_from(config.max_header_bytes).unwrap_or(u32::MAX))
        // Envoy's figures for an edge: 64 KiB per stream, 1 MiB per connection.
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(WRITE_BUFFER)
        // Finds dead peers; an idle peer that answers pings is the idle timer's business.
        .keep_alive_interval(config.write_stall_timeout)
        .keep_alive_timeout(config.write_stall_timeout);
    builder
}

fn refusal<B>(reason: Reason, running: Running) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::own(Bytes::from(reason.json()), running));
    *response.status_mut() = http::StatusCode::from_u16(reason.status()).unwrap_or(http::StatusCode::BAD_REQUEST);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Returns how long a connection without a request may take to send one more.
fn last_call(stop: &watch::Receiver<Stop>) -> Duration {
    match *stop.borrow() {
        Stop::Leave => LONG_LAST_CALL,
        Stop::Run | Stop::Drain | Stop::Now => LAST_CALL,
    }
}

/// Waits for a time, where there is one.
async fn over(time: &mut Option<Pin<Box<Sleep>>>) {
    match time {
        Some(time) => time.await,
        None => std::future::pending().await,
    }
}

/// Reads what is there through a buffer on the stack, so that waiting for it needs no memory.
async fn read_some<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<Vec<u8>> {
    poll_fn(|cx| {
        let mut space = [0; 4096];
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer))?;
        std::task::Poll::Ready(Ok(buffer.filled().to_vec()))
    })
    .await
}
