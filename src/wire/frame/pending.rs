//! What has come of a stream and was not cut off yet, without copying where a piece holds whole frames.

use bytes::{Bytes, BytesMut};

/// The pending bytes.
#[derive(Debug, Default)]
pub(super) struct Pending {
    buffer: BytesMut,
    /// A piece that came while the buffer was empty; spares the copy.
    piece: Bytes,
}

impl Pending {
    /// Adds a piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        if self.buffer.is_empty() && self.piece.is_empty() {
            self.piece = piece;
        } else {
            self.gather();
            self.buffer.extend_from_slice(&piece);
        }
    }

    /// Returns all of it.
    pub(super) fn bytes(&self) -> &[u8] {
        if self.buffer.is_empty() { &self.piece } else { &self.buffer }
    }

    /// Takes the first `length` bytes, of which there must be so many.
    pub(super) fn take(&mut self, length: usize) -> Bytes {
        if self.buffer.is_empty() { self.piece.split_to(length) } else { self.buffer.split_to(length).freeze() }
    }

    /// Takes all of it.
    pub(super) fn rest(&mut self) -> Bytes {
        self.gather();
        self.buffer.split().freeze()
    }

    fn gather(&mut self) {
        if !self.piece.is_empty() {
            self.buffer.extend_from_slice(&self.piece);
            self.piece = Bytes::new();
        }
    }
}
