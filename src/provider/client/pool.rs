//! Connections to one origin, used one request at a time.
//!
//! hyper speaks HTTP. A connection is driven by whoever waits for its answer, in the same task, not by a task of its own: a request
//! then costs no hand-over between tasks, which on several threads is a wake-up each way. Rule: a connection goes back only when both
//! sides are done with the exchange; every other one is closed by being dropped.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::runtime;
use tokio::time::Instant;

use super::connect::{Connector, Stream};
use super::{IDLE_CONNECTION, IDLE_PER_HOST, READ_AHEAD};
use crate::error::{GatewayError, Kind};
use crate::provider::body::chain;
use crate::provider::pieces::Pieces;

/// Connections to one origin.
pub(super) struct Pool {
    connector: Connector,
    /// A connection's readiness is told to the runtime that made it, so each runtime has connections of its own.
    shards: ArcSwap<Vec<(runtime::Id, Arc<Shard>)>>,
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, shards: ArcSwap::default() }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// A request that was not begun because its connection had been closed meanwhile is moved to another one; nothing is sent twice.
    ///
    /// # Errors
    /// [`Kind::UpstreamConnect`] or [`Kind::UpstreamMalformed`].
    pub(super) async fn send(&self, mut request: Request<Pieces>) -> Result<Response<Body>, GatewayError> {
        let shard = self.shard(runtime::Handle::current().id());
        loop {
            let (mut link, is_new) = match shard.take() {
                Some(link) => (link, false),
                // Boxed where it runs: to dial takes much room, and most requests need not.
                None => (Box::pin(self.dial()).await?, true),
            };
            match link.send(request).await {
                Ok(response) => return Ok(response.map(|incoming| Body::new(incoming, link, &shard))),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    Some(_) | None => return Err(failed(error.error())),
                },
            }
        }
    }

    async fn dial(&self) -> Result<Box<Link>, GatewayError> {
        let stream = self.connector.connect().await?;
        let (sender, driver) = http1::Builder::new().max_buf_size(READ_AHEAD).handshake(stream).await.map_err(|error| failed(&error))?;
        Ok(Box::new(Link { sender, driver, is_over: false }))
    }

    fn shard(&self, runtime: runtime::Id) -> Arc<Shard> {
        let find = |shards: &[(runtime::Id, Arc<Shard>)]| Some(Arc::clone(&shards.iter().find(|(id, _)| *id == runtime)?.1));
        if let Some(shard) = find(&self.shards.load()) {
            return shard;
        }
        let new = Arc::new(Shard::default());
        self.shards.rcu(|shards| match find(shards) {
            Some(_) => Vec::clone(shards),
            None => shards.iter().cloned().chain([(runtime, Arc::clone(&new))]).collect(),
        });
        find(&self.shards.load()).unwrap_or(new)
    }
}

/// The unused connections of one runtime.
#[derive(Default)]
struct Shard {
    /// Guards the list alone; held for a push or a pop.
    idle: Mutex<Idle>,
}

/// Unused connections, the longest unused first.
#[derive(Default)]
struct Idle {
    links: VecDeque<(Instant, Box<Link>)>,
    /// Whether a task watches over their age.
    is_watched: bool,
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        // Only whole entries come and go under the lock, so the list is sound after a panic.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection that was used last and is still open.
    fn take(&self) -> Option<Box<Link>> {
        loop {
            let (since, mut link) = self.lock().links.pop_back()?;
            if since.elapsed() < IDLE_CONNECTION && link.is_free() {
                return Some(link);
            }
        }
    }

    /// Takes a connection back, if another request can follow on it.
    fn give_back(self: &Arc<Self>, mut link: Box<Link>) {
        if !link.is_free() {
            return;
        }
        let mut idle = self.lock();
        if idle.links.len() >= IDLE_PER_HOST {
            return;
        }
        idle.links.push_back((Instant::now(), link));
        if !idle.is_watched
            && let Ok(runtime) = runtime::Handle::try_current()
        {
            idle.is_watched = true;
            runtime.spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Closes what has been unused for too long. Returns when to look again, or nothing when nothing is left.
    fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut old = Vec::new();
        let mut idle = self.lock();
        while let Some((since, link)) = idle.links.pop_front() {
            let end = since + IDLE_CONNECTION;
            if end > now {
                idle.links.push_front((since, link));
                return Some(end);
            }
            // Closed after the lock is free.
            old.push(link);
        }
        idle.is_watched = false;
        None
    }
}

/// Closes connections that are unused for too long, until none is left or the pool is gone.
async fn watch(shard: Weak<Shard>) {
    while let Some(next) = shard.upgrade().and_then(|shard| shard.expire()) {
        tokio::time::sleep_until(next).await;
    }
}

/// One connection. Dropping it closes it.
struct Link {
    sender: http1::SendRequest<Pieces>,
    driver: http1::Connection<TokioIo<Stream>, Pieces>,
    is_over: bool,
}

impl Link {
    /// Lets hyper read and write. What it finds it tells to the halves of the exchange, errors too.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.is_over {
            self.is_over = Pin::new(&mut self.driver).poll(cx).is_ready();
        }
    }

    /// Returns whether a request can be sent now. Also notices that the server has closed, without a system call where it has not; and
    /// leaves no waker behind, so that an idle connection holds no task in memory.
    fn is_free(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.is_over && self.sender.is_ready()
    }

    async fn send(&mut self, request: Request<Pieces>) -> Result<Response<Incoming>, TrySendError<Request<Pieces>>> {
        let answer = self.sender.try_send_request(request);
        // Not subject to the task's budget: it is polled without a waker, since only driving can bring it forward.
        let mut answer = pin!(tokio::task::coop::unconstrained(answer));
        poll_fn(|cx| {
            if !self.is_over {
                self.is_over = Pin::new(&mut self.driver).poll(cx).is_ready();
            }
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }
}

/// Maps a failure before the response's head was complete.
pub(super) fn failed(error: &hyper::Error) -> GatewayError {
    let (kind, public) = match error.is_parse() {
        true => (Kind::UpstreamMalformed, "the provider's answer is not valid HTTP"),
        false => (Kind::UpstreamConnect, "the provider closed the connection before it answered"),
    };
    GatewayError::new(kind, public).detail(chain(error))
}

/// The body of an answer, with the connection that it comes on. At its end the connection goes back to the pool; dropped before, it is
/// closed.
pub(super) struct Body {
    incoming: Incoming,
    link: Option<Box<Link>>,
    home: Weak<Shard>,
}

impl Body {
    fn new(incoming: Incoming, link: Box<Link>, home: &Arc<Shard>) -> Self {
        let mut body = Self { incoming, link: Some(link), home: Arc::downgrade(home) };
        body.release_at_end();
        body
    }

    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let (Some(link), Some(home)) = (self.link.take(), self.home.upgrade()) {
            home.give_back(link);
        }
    }

    /// What hyper has decoded already.
    fn decoded(&mut self) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.incoming).poll_frame(&mut Context::from_waker(Waker::noop()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let mut frame = this.decoded();
        if frame.is_pending()
            && let Some(link) = &mut this.link
        {
            link.drive(cx);
            frame = this.decoded();
        }
        match &frame {
            Poll::Ready(Some(Ok(_))) => this.release_at_end(),
            Poll::Ready(None) => this.release(),
            Poll::Ready(Some(Err(_))) => this.link = None,
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
