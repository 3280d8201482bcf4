//! The outbound HTTP client: connection pools that outlive a change of the spec, and one request at a time over them.
//!
//! It knows no formats and decides no retries: it says what happened. Rule: HTTP/1.1 pools (one HTTP/2 connection per host caps at
//! about 100 streams), no redirects, no decompression, no retries of its own, bodies passed on as they were read.

mod clients;
mod connect;
mod judge;
mod network;
mod pool;
mod proxied;

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use self::network::Inside;
use self::pool::Pool;
use self::proxied::Proxied;
use super::body::IdleBody;
use super::pieces::Pieces;
use crate::error::{GatewayError, Kind};

pub use clients::{BuildError, ClientOptions, Clients};
pub use network::{Attempted, Network};

/// Idle connections kept per host. As many as a busy process has requests in flight to one host; more are closed after use.
const IDLE_PER_HOST: usize = 512;
/// How long a connection is kept unused: below the keep-alive of nginx (75 s) and of AWS load balancers (60 s), so that we, not the
/// server, close it, and a request rarely meets a connection that is being closed.
const IDLE_CONNECTION: Duration = Duration::from_secs(50);
/// The largest head of an answer, and half of the most that is read of a body ahead of whoever reads it. Bytes.
const READ_AHEAD: usize = 16 << 10;
/// Finds peers that vanished without a word while a long answer is thought about.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

const AGENT: &str = concat!("bifrostctl/", env!("CARGO_PKG_VERSION"));

/// One upstream request, ready to go.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Method.
    pub method: Method,
    /// Path and query at the client's origin, from [`crate::base::Destination::endpoint`].
    pub path: PathAndQuery,
    /// Headers, from [`super::request_headers`]. `host` is the client's own.
    pub headers: HeaderMap,
    /// Body.
    pub body: Pieces,
}

/// How long to wait for the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Until the response's head, connection included.
    pub first_byte: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
}

/// An upstream's answer: its head, and a body that is still arriving. Dropping the body closes the connection, unless it was at its end.
#[derive(Debug)]
pub struct Upstream {
    /// Status.
    pub status: StatusCode,
    /// All of the upstream's headers; [`super::response_headers`] picks what the client may see.
    pub headers: HeaderMap,
    /// Body; its errors are of kind timeout, truncated or malformed.
    pub body: IdleBody<Body>,
}

/// Sends requests to one origin. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

/// What the clones of a client share.
#[derive(Debug)]
struct Shared {
    host: HeaderValue,
    route: Route,
}

/// The way to the origin.
enum Route {
    Direct(Box<Pool>),
    Proxied(Box<Proxied>),
    /// Whoever stands in place of the network.
    Inside(Inside),
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct(_) => "Direct",
            Self::Proxied(_) => "Proxied",
            Self::Inside(_) => "Inside",
        })
    }
}

impl Client {
    /// Returns the value of `host` that its requests carry.
    pub fn host(&self) -> &HeaderValue {
        &self.0.host
    }

    /// Sends a request and waits for the head of its answer. Any status is an answer.
    ///
    /// Dropping the future closes the connection. A request that could not be written because its pooled connection was already closed
    /// is moved to another connection by the pool itself; nothing else is sent twice.
    ///
    /// # Errors
    /// [`Kind::UpstreamConnect`]: no connection, or it ended before an answer (a pooled connection that the server closed as we sent looks
    /// like this). [`Kind::UpstreamTimeout`]: no head within `first_byte`. [`Kind::UpstreamMalformed`]: bytes that are no HTTP head.
    pub async fn send(&self, outbound: Outbound, waits: Waits) -> Result<Upstream, GatewayError> {
        self.attempt(outbound, waits, None).await
    }

    /// Sends a request, as [`Client::send`] does, and says for which attempt: what stands in place of the network may want to know.
    ///
    /// # Errors
    /// Those of [`Client::send`].
    pub async fn attempt(&self, outbound: Outbound, waits: Waits, attempted: Option<Attempted<'_>>) -> Result<Upstream, GatewayError> {
        let request = self.request(outbound);
        let sending = async {
            Ok::<_, GatewayError>(match &self.0.route {
                Route::Direct(pool) => pool.send(request).await?.map(|body| Body(From::Pool(body))),
                Route::Proxied(proxied) => Box::pin(proxied.send(request)).await?.map(|body| Body(From::Proxy(body))),
                Route::Inside(inside) => Box::pin(inside.send(request, attempted)).await?.map(|body| Body(From::Inside(body))),
            })
        };
        match tokio::time::timeout(waits.first_byte, sending).await {
            Ok(response) => {
                let (head, body) = response?.into_parts();
                Ok(Upstream { status: head.status, headers: head.headers, body: IdleBody::new(body, waits.idle) })
            }
            Err(_) => Err(GatewayError::new(Kind::UpstreamTimeout, "the provider did not answer in time")
                .detail(format_args!("no response head within {} ms", waits.first_byte.as_millis()))),
        }
    }

    fn request(&self, Outbound { method, path, mut headers, body }: Outbound) -> Request<Pieces> {
        headers.insert(HOST, self.0.host.clone());
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(path);
        *request.headers_mut() = headers;
        request
    }
}

/// Most that is read behind the end of an answer, and how long it is waited for.
const REST: (usize, Duration) = (64 << 10, Duration::from_secs(1));

/// The bytes of an answer as they are read.
pub struct Body(From);

impl Body {
    /// Lets go of an answer that is over by its format, although HTTP may have more: its last chunk, as a rule. That is read, in a task
    /// of its own where it has not come yet, so that the connection can be used again.
    pub fn finish(mut self) {
        let mut left = REST.0;
        if self.skip(&mut Context::from_waker(Waker::noop()), &mut left).is_pending()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(REST.1, std::future::poll_fn(move |cx| self.skip(cx, &mut left))));
        }
    }

    /// Reads to the end, or to the first thing that is no use.
    fn skip(&mut self, cx: &mut Context<'_>, left: &mut usize) -> Poll<()> {
        while let Some(Ok(frame)) = ready!(Pin::new(&mut *self).poll_frame(cx)) {
            *left = left.saturating_sub(frame.data_ref().map_or(1, Bytes::len));
            if *left == 0 {
                break;
            }
        }
        Poll::Ready(())
    }
}

enum From {
    Pool(pool::Body),
    Proxy(reqwest::Body),
    Inside(Incoming),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.0 {
            From::Pool(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            From::Proxy(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            From::Inside(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            From::Pool(body) => body.is_end_stream(),
            From::Proxy(body) => body.is_end_stream(),
            From::Inside(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            From::Pool(body) => body.size_hint(),
            From::Proxy(body) => body.size_hint(),
            From::Inside(body) => body.size_hint(),
        }
    }
}
