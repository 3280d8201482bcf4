//! The response body as hyper gets it: the handler's own, unboxed, or a refusal; it tells the connection when it is over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::gate::Exchange;

/// A request that is running until this drops.
#[derive(Debug)]
pub(super) struct Running(Arc<Exchange>);

impl Running {
    pub(super) fn start(exchange: &Arc<Exchange>) -> Self {
        exchange.start();
        Self(Arc::clone(exchange))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.finish();
    }
}

pin_project! {
    #[project = SourceProjection]
    enum Source<B> {
        Handler { #[pin] body: B },
        Own { bytes: Option<Bytes> },
    }
}

pin_project! {
    /// The body of an answer on its way to the client.
    pub struct ResponseBody<B> {
        #[pin]
        source: Source<B>,
        running: Running,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn handler(body: B, running: Running) -> Self {
        Self { source: Source::Handler { body }, running }
    }

    pub(super) fn own(bytes: Bytes, running: Running) -> Self {
        Self { source: Source::Own { bytes: Some(bytes) }, running }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().source.project() {
            SourceProjection::Handler { body } => body.poll_frame(cx),
            SourceProjection::Own { bytes } => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Handler { body } => body.is_end_stream(),
            Source::Own { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Handler { body } => body.size_hint(),
            Source::Own { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}
