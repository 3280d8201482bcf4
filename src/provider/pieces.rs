//! A request body made of up to three pieces, so that a large upload is not copied to change a few bytes of it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The pieces that are still to be sent, in order.
#[derive(Debug, Clone, Default)]
pub struct Pieces([Bytes; 3]);

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self([whole, Bytes::new(), Bytes::new()])
    }
}

impl Pieces {
    /// Joins three pieces; any may be empty.
    pub const fn new(pieces: [Bytes; 3]) -> Self {
        Self(pieces)
    }

    /// Walks over the pieces that are left.
    pub fn parts(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter()
    }

    /// Returns how many bytes are left.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Returns whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.iter_mut().find(|piece| !piece.is_empty()).map(std::mem::take);
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn pieces_come_in_order_with_their_exact_length() {
        let pieces = Pieces::new([Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"c")]);
        assert_eq!((pieces.size_hint().exact(), pieces.is_end_stream()), (Some(3), false));
        assert_eq!(pieces.collect().await.unwrap().to_bytes(), "abc");
        assert!(Pieces::default().is_end_stream());
        assert_eq!(Pieces::from(Bytes::from_static(b"x")).collect().await.unwrap().to_bytes(), "x");
    }
}
